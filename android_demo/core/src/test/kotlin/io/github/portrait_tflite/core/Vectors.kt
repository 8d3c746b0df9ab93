package io.github.portrait_tflite.core

import io.github.portrait_tflite.core.model.JsonField
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.serialization.json.Json

/** What scripts/android/reference_vectors.py wrote: our own pre- and post-processing in Python. */
internal object Vectors {
    private val folder = File("src/test/resources/vectors")
    private val index =
        JsonField("", Json.parseToJsonElement(File(folder, "index.json").readText()))

    fun all(kind: String): List<JsonField> = index.at(kind).items()

    fun bytes(name: String): ByteArray = File(folder, name).readBytes()

    fun buffer(name: String): ByteBuffer {
        val bytes = bytes(name)
        val direct = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder())
        direct.put(bytes)
        direct.rewind()
        return direct
    }

    fun floats(name: String): FloatArray {
        val floats = ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return FloatArray(floats.remaining()).also(floats::get)
    }

    /** RGB bytes as packed pixels. */
    fun pixels(name: String): IntArray {
        val rgb = bytes(name)
        return IntArray(rgb.size / 3) { pixel ->
            (0 until 3).fold(0xff) { packed, colour ->
                packed shl 8 or (rgb[3 * pixel + colour].toInt() and 0xff)
            }
        }
    }
}
