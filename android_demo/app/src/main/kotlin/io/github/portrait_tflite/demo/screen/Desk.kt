package io.github.portrait_tflite.demo.screen

import android.content.Context
import android.graphics.Bitmap
import android.os.Handler
import android.os.Looper
import io.github.portrait_tflite.core.effect.Effect
import io.github.portrait_tflite.demo.gl.Look
import io.github.portrait_tflite.demo.live.Session
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.picture.defaultBackdrop

/** What outlives the activity when the screen is rotated. */
class Desk(val session: Session) {
    var look = Look(Effect.BLUR, defaultBackdrop())

    /** The picture of the gallery that is shown; null for the camera. */
    var picture: Bitmap? = null

    /** Whether the person was asked for the camera. */
    var asked = false

    companion object {
        /** Makes the real one, whose session tells the main thread. */
        fun of(context: Context): Desk {
            val main = Handler(Looper.getMainLooper())
            val shelf = ModelShelf(context.applicationContext)
            return Desk(Session(shelf, engine()) { main.post(it) })
        }
    }
}
