package io.github.portrait_tflite.demo.models

import android.content.res.AssetManager
import io.github.portrait_tflite.core.model.ModelSource
import java.io.InputStream

/** The model that is packaged in the APK. */
class AssetSource(private val assets: AssetManager) : ModelSource {
    override val place: String get() = "the app's assets"

    override fun open(name: String): InputStream = assets.open("$FOLDER/$name")

    private companion object {
        const val FOLDER = "portrait"
    }
}
