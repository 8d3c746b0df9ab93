package io.github.portrait_tflite.core.model

import java.io.File
import java.io.FileInputStream
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer

/** Where the files of a model come from: the app's assets, or a folder. */
interface ModelSource {
    /** As sentences name it: a path, or "the app's assets". */
    val place: String

    /**
     * Opens a file by its name.
     *
     * @throws IOException there is none, or it cannot be read.
     */
    fun open(name: String): InputStream

    /**
     * Maps a file into memory, which takes none of the app's own.
     *
     * @return null where it must be read: nothing maps a compressed file, and one that others may
     *   cut short while it is mapped would end the app.
     * @throws IOException there is none, or it cannot be read.
     */
    fun map(name: String): ByteBuffer? = null
}

/** The files of a model in a [folder]; never mapped, as another push may write over them. */
class FolderSource(private val folder: File) : ModelSource {
    override val place: String get() = folder.path

    override fun open(name: String): InputStream = FileInputStream(File(folder, name))
}

/**
 * Reads a text file.
 *
 * @throws BadModel there is none, or it cannot be read.
 */
internal fun ModelSource.readText(name: String): String =
    try {
        open(name).use { it.readBytes() }.toString(Charsets.UTF_8)
    } catch (error: IOException) {
        throw BadModel(
            "$name must be in $place. Received: ${error.reason()}. " +
                "Copy the whole folder that --assets wrote.",
            error,
        )
    }

/** Says in a word why a file could not be read. */
internal fun IOException.reason(): String = message ?: javaClass.simpleName
