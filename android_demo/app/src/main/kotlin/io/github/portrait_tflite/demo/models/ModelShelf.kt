package io.github.portrait_tflite.demo.models

import android.content.Context
import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal
import java.io.File
import java.util.Objects

/**
 * A model that can be chosen.
 *
 * @property name of its folder; "" for the packaged one.
 * @property written when its model.json was, in ms since 1970: another push under the same name is
 *   another model; 0 for the packaged one.
 */
data class ShelfEntry(val name: String, val source: ModelSource, val written: Long = 0) {
    override fun equals(other: Any?): Boolean =
        other is ShelfEntry && other.name == name && other.written == written

    override fun hashCode(): Int = Objects.hash(name, written)
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

    private fun entry(folder: File) =
        ShelfEntry(
            folder.name,
            FolderSource(folder),
            File(folder, ModelCard.FILE).lastModified(),
        )

    private fun pushed(): List<File> =
        folder?.listFiles { file -> file.isDirectory }?.sortedBy { it.name }.orEmpty()
}
