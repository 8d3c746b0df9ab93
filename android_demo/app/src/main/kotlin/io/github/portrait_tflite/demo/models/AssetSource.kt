package io.github.portrait_tflite.demo.models

import android.content.res.Resources
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.demo.R
import java.io.FileNotFoundException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.channels.FileChannel

/** The model that is packaged in the APK. */
class AssetSource(private val resources: Resources) : ModelSource {
    override val place: String get() = resources.getString(R.string.packaged_place)

    override fun open(name: String): InputStream = resources.assets.open("$FOLDER/$name")

    override fun map(name: String): ByteBuffer? {
        val asset =
            try {
                resources.assets.openFd("$FOLDER/$name")
            } catch (_: FileNotFoundException) {
                return null // Compressed, or not there, which reading it says.
            }
        return asset.use {
            it.createInputStream().channel
                .map(FileChannel.MapMode.READ_ONLY, it.startOffset, it.declaredLength)
        }
    }

    private companion object {
        const val FOLDER = "portrait"
    }
}
