package io.github.portrait_tflite.demo.phone

import android.content.Context
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal
import java.io.File
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption

/**
 * Writes a result to `results/NAME.json` in the app's external files: whole, or not at all.
 *
 * Some phones close what an app makes there to all others; it is opened, as adb's shell is to read it.
 *
 * @throws Refusal there is no storage, or it is full.
 */
fun writeResult(context: Context, name: String, text: String): File {
    val folder =
        context.getExternalFilesDir("results")
            ?: throw Refusal(R.string.storage_none)
    val part = File(folder, "$name.json.part")
    val whole = File(folder, "$name.json")
    try {
        part.writeText(text)
        Files.move(part.toPath(), whole.toPath(), StandardCopyOption.REPLACE_EXISTING)
    } catch (error: IOException) {
        part.delete()
        val given = arrayOf(text.length, folder, error.message.orEmpty())
        throw Refusal(R.string.storage_full, *given, cause = error)
    }
    folder.setReadable(true, false)
    folder.setExecutable(true, false)
    whole.setReadable(true, false)
    return whole
}
