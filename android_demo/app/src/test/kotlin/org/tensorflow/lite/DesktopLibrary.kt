package org.tensorflow.lite

import java.io.File

/**
 * Loads the interpreter's library for a desktop, which nobody does there.
 *
 * It lies in this package so that the same class loader has it as the interpreter's own classes:
 * Robolectric's takes neither.
 */
object DesktopLibrary {
    init {
        System.load(File("target/desktop/native/lib/libtensorflowlite_jni.so").absolutePath)
    }

    /** Does nothing more than being called. */
    fun load() = Unit
}
