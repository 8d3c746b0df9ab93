package io.github.portrait_tflite.demo

import org.junit.runners.model.FrameworkMethod
import org.robolectric.RobolectricTestRunner
import org.robolectric.internal.bytecode.InstrumentationConfiguration
import org.tensorflow.lite.DesktopLibrary

/** Robolectric with the real interpreter, whose classes must be those that its library knows. */
class AppRunner(test: Class<*>) : RobolectricTestRunner(test) {
    init {
        DesktopLibrary.load()
    }

    override fun createClassLoaderConfig(method: FrameworkMethod): InstrumentationConfiguration =
        InstrumentationConfiguration.Builder(super.createClassLoaderConfig(method))
            .doNotAcquirePackage("org.tensorflow.lite.")
            .build()
}
