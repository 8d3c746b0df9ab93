package io.github.portrait_tflite.demo.gl

import android.opengl.EGL14
import android.opengl.EGLConfig
import android.opengl.EGLContext
import android.opengl.EGLDisplay
import android.opengl.EGLSurface
import android.opengl.GLES20
import java.util.Collections
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.util.ReflectionHelpers
import org.robolectric.util.ReflectionHelpers.ClassParameter

/** A GPU's driver that remembers which contexts there are and which is current. */
@Implements(EGL14::class)
// Robolectric wants a class with static functions, whose signatures are the driver's.
@Suppress("UnusedParameter", "LongParameterList", "UtilityClassWithPublicConstructor")
class CountedEgl {
    companion object {
        /** Contexts that were made and not destroyed. */
        val open: MutableSet<EGLContext?> = Collections.synchronizedSet(HashSet())

        /** How many contexts were made. */
        @Volatile
        var made = 0

        /** Whether contexts can be made current. */
        @Volatile
        var willing = true

        /** What is current. */
        @Volatile
        var current: EGLContext? = null

        /** Forgets all. */
        fun reset() {
            open.clear()
            made = 0
            willing = true
            current = null
        }

        @JvmStatic
        @Implementation
        fun eglChooseConfig(
            display: EGLDisplay?,
            wanted: IntArray?,
            wantedOffset: Int,
            found: Array<EGLConfig?>,
            foundOffset: Int,
            size: Int,
            count: IntArray?,
            countOffset: Int,
        ): Boolean {
            found[foundOffset] = handle(EGLConfig::class.java, 1)
            return true
        }

        @JvmStatic
        @Implementation
        fun eglCreateContext(
            display: EGLDisplay?,
            config: EGLConfig?,
            shared: EGLContext?,
            wanted: IntArray?,
            offset: Int,
        ): EGLContext = context(++made).also { open += it }

        @JvmStatic
        @Implementation
        fun eglDestroyContext(display: EGLDisplay?, context: EGLContext?): Boolean =
            open.remove(context)

        @JvmStatic
        @Implementation
        fun eglGetCurrentContext(): EGLContext? = current

        @JvmStatic
        @Implementation
        fun eglMakeCurrent(
            display: EGLDisplay?,
            draw: EGLSurface?,
            read: EGLSurface?,
            context: EGLContext?,
        ): Boolean {
            if (willing) current = context
            return willing
        }

        /** A context of some number. */
        fun context(number: Int): EGLContext = handle(EGLContext::class.java, number.toLong())

        private fun <T> handle(type: Class<T>, number: Long): T =
            ReflectionHelpers.callConstructor(
                type,
                ClassParameter.from(Long::class.javaPrimitiveType, number),
            )
    }
}

/** A driver that compiles no shader. */
@Implements(GLES20::class)
@Suppress("UtilityClassWithPublicConstructor") // as above
class RefusingGles {
    companion object {
        @JvmStatic
        @Implementation
        fun glGetShaderInfoLog(shader: Int): String = "out of registers in shader $shader"
    }
}
