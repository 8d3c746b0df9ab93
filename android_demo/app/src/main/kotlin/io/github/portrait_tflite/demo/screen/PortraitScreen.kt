package io.github.portrait_tflite.demo.screen

import android.app.Activity
import android.graphics.Bitmap
import android.opengl.GLSurfaceView
import android.view.View
import android.widget.Button
import android.widget.ImageView
import android.widget.TextView
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.live.SessionState
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.models.RunOption
import io.github.portrait_tflite.demo.models.ShelfEntry
import io.github.portrait_tflite.demo.sentence

/** What a person can do on the screen. */
interface PortraitActions {
    /** Shows another effect. */
    fun chooseEffect(effect: Effect)

    /** Opens another variant or delegate. */
    fun chooseOption(option: RunOption)

    /** Opens another model. */
    fun chooseModel(model: ShelfEntry)

    /** Shows the camera. */
    fun useCamera()

    /** Asks for a picture of the gallery to show in place of the camera. */
    fun usePicture()

    /** Asks for a picture to show behind the person. */
    fun useBackdrop()

    /** Goes to the self-test. */
    fun startSelfTest()
}

/** The views of the portrait activity. */
class PortraitScreen(private val activity: Activity, actions: PortraitActions) {
    val live: GLSurfaceView

    private val wording = Wording(activity.resources)
    private val effects: Chooser<Effect>
    private val options: Chooser<RunOption>
    private val models: Chooser<ShelfEntry>

    init {
        activity.setContentView(R.layout.portrait)
        live = find(R.id.live)
        val effectNames = activity.resources.getStringArray(R.array.effects)
        effects = Chooser(find(R.id.effect), { effectNames[it.ordinal] }, actions::chooseEffect)
        options = Chooser(find(R.id.option), wording::option, actions::chooseOption)
        models = Chooser(find(R.id.model), wording::model, actions::chooseModel)
        onClick(R.id.use_camera, actions::useCamera)
        onClick(R.id.use_picture, actions::usePicture)
        onClick(R.id.use_backdrop, actions::useBackdrop)
        onClick(R.id.self_test, actions::startSelfTest)
    }

    /** Shows what the session is at. */
    fun show(state: SessionState) {
        // While another is opened, the lists stay at what was chosen.
        if (!state.opening) {
            models.show(state.models, state.model)
            options.show(state.options, state.option)
        }
        find<TextView>(R.id.running).text = wording.running(state)
        showProblem(state.problem?.let(activity.resources::sentence).orEmpty())
    }

    /** Shows a sentence about what failed; "" for nothing. */
    fun showProblem(sentence: String) {
        val view = find<TextView>(R.id.problem)
        view.text = sentence
        view.visibility = visibleIf(sentence.isNotEmpty())
    }

    /** Shows the effect that is chosen. */
    fun show(effect: Effect) = effects.show(Effect.entries, effect)

    /** Shows what the stages took. */
    fun show(clock: StageClock) {
        find<TextView>(R.id.times).text = wording.times(clock)
    }

    /** Shows the camera. */
    fun showLive() {
        hideNotice()
        find<ImageView>(R.id.picture).visibility = View.GONE
    }

    /** Shows a picture. */
    fun showPicture(picture: Bitmap) {
        hideNotice()
        val view = find<ImageView>(R.id.picture)
        view.setImageBitmap(picture)
        view.visibility = View.VISIBLE
    }

    /**
     * Shows a sentence in place of the picture.
     *
     * @param action what a button beneath it says; 0 for no button.
     */
    fun showNotice(sentence: Int, action: Int = 0, onAction: () -> Unit = {}) {
        find<TextView>(R.id.notice_text).setText(sentence)
        val button = find<Button>(R.id.notice_button)
        button.visibility = visibleIf(action != 0)
        if (action != 0) button.setText(action)
        button.setOnClickListener { onAction() }
        find<View>(R.id.notice).visibility = View.VISIBLE
    }

    private fun hideNotice() {
        find<View>(R.id.notice).visibility = View.GONE
    }

    private fun visibleIf(visible: Boolean) = if (visible) View.VISIBLE else View.GONE

    private fun onClick(button: Int, action: () -> Unit) = find<Button>(button).setOnClickListener {
        action()
    }

    private fun <V : View> find(id: Int): V = activity.findViewById(id)
}
