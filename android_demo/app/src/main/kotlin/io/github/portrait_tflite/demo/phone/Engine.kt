package io.github.portrait_tflite.demo.phone

import android.os.Process
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.engine.TfliteFactory
import java.io.IOException

/** The TFLite interpreter with its delegates; it reads in this process's log what they took. */
fun engine(): SegmenterFactory = TfliteFactory(::ownLog)

/** What the runtime has logged; empty where the phone does not let the app read that. */
private fun ownLog(): List<String> =
    try {
        val command =
            arrayOf(
                "logcat",
                "-d",
                "-v",
                "raw",
                "--pid",
                Process.myPid().toString(),
                "-s",
                "tflite",
            )
        Runtime.getRuntime().exec(command).inputStream.bufferedReader().use { it.readLines() }
    } catch (_: IOException) {
        emptyList()
    }
