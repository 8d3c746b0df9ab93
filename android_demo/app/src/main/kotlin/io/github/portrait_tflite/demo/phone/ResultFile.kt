package io.github.portrait_tflite.demo.phone

import android.content.Context
import io.github.portrait_tflite.demo.Refusal
import java.io.File
import java.io.IOException

/**
 * Writes a result to `results/NAME.json` in the app's external files: whole, or not at all.
 *
 * @throws Refusal there is no storage, or it is full.
 */
fun writeResult(context: Context, name: String, text: String): File {
    val folder =
        context.getExternalFilesDir("results")
            ?: throw Refusal(
                "The phone's shared storage is required for results. Received: none mounted. " +
                    "Unlock the phone.",
            )
    val part = File(folder, "$name.json.part")
    val whole = File(folder, "$name.json")
    try {
        part.writeText(text)
        if (!part.renameTo(whole)) throw IOException("$part could not be renamed")
    } catch (error: IOException) {
        part.delete()
        throw Refusal(
            "Room for ${text.length} bytes in $folder is required. Received: ${error.message}. " +
                "Free some storage.",
            error,
        )
    }
    return whole
}
