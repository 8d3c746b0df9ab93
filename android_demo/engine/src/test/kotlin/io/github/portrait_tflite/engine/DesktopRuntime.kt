package io.github.portrait_tflite.engine

import java.io.File

/** The runtime's library for a desktop. Android loads its own by name; here nobody does. */
object DesktopRuntime {
    init {
        System.load(File("target/desktop/native/lib/libtensorflowlite_jni.so").absolutePath)
    }

    /** A factory whose library is there. */
    fun factory() = TfliteFactory()
}
