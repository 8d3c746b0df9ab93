package io.github.portrait_tflite.demo.models

import android.content.Context
import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal
import java.io.File

/**
 * A model that can be chosen.
 *
 * @property name of its folder; "" for the packaged one.
 */
data class ShelfEntry(val name: String, val source: ModelSource) {
    override fun equals(other: Any?): Boolean = other is ShelfEntry && other.name == name

    override fun hashCode(): Int = name.hashCode()
}

/** The packaged model, and those pushed to `models/` in the app's external files. */
class ModelShelf(private val context: Context) {
    private val folder: File? get() = context.getExternalFilesDir("models")

    /** The packaged model first, then the folders by name. */
    fun list(): List<ShelfEntry> = listOf(packaged) + pushed().map { entry(it) }

    /**
     * Finds a model.
     *
     * @param name of a pushed folder; "" for the packaged model.
     * @throws Refusal there is no such folder.
     */
    fun find(name: String): ShelfEntry {
        if (name.isEmpty()) return packaged
        return pushed().firstOrNull { it.name == name }?.let { entry(it) }
            ?: throw Refusal(R.string.model_lost, "$folder", name, pushed().map { it.name })
    }

    private val packaged: ShelfEntry get() = ShelfEntry("", AssetSource(context.resources))

    private fun entry(folder: File) = ShelfEntry(folder.name, FolderSource(folder))

    private fun pushed(): List<File> =
        folder?.listFiles { file -> file.isDirectory }?.sortedBy { it.name }.orEmpty()
}
