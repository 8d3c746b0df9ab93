package io.github.portrait_tflite.demo.gl

import android.content.res.Resources
import android.graphics.Bitmap
import android.graphics.Color
import android.opengl.GLES30
import io.github.portrait_tflite.core.effect.BackgroundBlur
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.model.Fit
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.live.Shot
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

private const val FINEST = 2f // least standard deviation of the blur in cells, as in core
private const val BYTE = 255f
private val HALF_FLOATS = listOf("GL_EXT_color_buffer_half_float", "GL_EXT_color_buffer_float")

/** Where a picture is shown: a rectangle of the target in pixels from its lower left corner. */
data class Place(val left: Int, val bottom: Int, val width: Int, val height: Int)

/** Draws effects: all that happens between a segmented shot and the screen. One per context. */
class EffectPasses(resources: Resources) {
    private val frame = FramePasses(resources)
    private val reduce = Program(resources, R.raw.cells_fragment)
    private val gauss = Program(resources, R.raw.gauss_fragment)
    private val show = Program(resources, R.raw.show_fragment)
    private val cells = Target(blurFormat(), GLES30.GL_LINEAR)
    private val between = Target(blurFormat(), GLES30.GL_LINEAR)
    private val backdrop = Texture(GLES30.GL_LINEAR)
    private var loaded: Bitmap? = null

    /** Prepares a shot; it can be used again afterwards. */
    fun load(shot: Shot) = frame.draw(shot)

    /**
     * Draws the prepared picture.
     *
     * @param width of the picture, upright; see [load].
     * @param height of the picture, upright.
     */
    fun draw(look: Look, width: Int, height: Int, place: Place, framebuffer: Int = 0) {
        val sigma = BackgroundBlur.STRENGTH * min(width, height)
        val cell = max(1, floor(sigma / FINEST).toInt())
        if (look.effect == Effect.BLUR) blur(width, height, cell, sigma / cell)
        GLES30.glBindFramebuffer(GLES30.GL_FRAMEBUFFER, framebuffer)
        GLES30.glViewport(place.left, place.bottom, place.width, place.height)
        show.use()
        show.texture("picture", frame.picture.id)
        show.texture("matte", frame.matte.id)
        show.texture("cells", cells.id)
        show.texture("backdrop", backdrop.id)
        show.set("screen", 1)
        show.set("effect", look.effect.ordinal)
        show.set("cell", cell.toFloat())
        fill(look.color)
        cover(look.backdrop, width, height)
        show.draw()
    }

    private fun blur(width: Int, height: Int, cell: Int, sigma: Float) {
        val columns = (width + cell - 1) / cell
        val rows = (height + cell - 1) / cell
        cells.begin(columns, rows)
        reduce.use()
        reduce.texture("picture", frame.picture.id)
        reduce.texture("matte", frame.matte.id)
        reduce.set("size", width, height)
        reduce.set("cell", cell)
        reduce.draw()
        spread(cells, between, columns, rows, sigma, alongRows = true)
        spread(between, cells, columns, rows, sigma, alongRows = false)
    }

    @Suppress("LongParameterList") // One pass of a separable filter has no fewer.
    private fun spread(
        from: Target,
        to: Target,
        columns: Int,
        rows: Int,
        sigma: Float,
        alongRows: Boolean,
    ) {
        to.begin(columns, rows)
        gauss.use()
        gauss.texture("cells", from.id)
        gauss.set("sigma", sigma)
        gauss.set("axis", if (alongRows) 1 else 0, if (alongRows) 0 else 1)
        gauss.draw()
    }

    private fun fill(color: Int) =
        show.set(
            "fill",
            Color.red(color) / BYTE,
            Color.green(color) / BYTE,
            Color.blue(color) / BYTE,
        )

    private fun cover(picture: Bitmap, width: Int, height: Int) {
        if (picture !== loaded) {
            backdrop.load(picture)
            loaded = picture
        }
        val at = Placement.of(Fit.CROP, picture.width, picture.height, width, height)
        val (right, down) = 1f / picture.width to 1f / picture.height
        show.set("cover", at.left * right, at.top * down, at.width * right, at.height * down)
    }
}

/** Half floats where the GPU draws into them: bytes are coarse where little background is near. */
private fun blurFormat(): Int {
    val extensions = GLES30.glGetString(GLES30.GL_EXTENSIONS).orEmpty()
    val drawable = HALF_FLOATS.any { it in extensions }
    return if (drawable) GLES30.GL_RGBA16F else GLES30.GL_RGBA
}
