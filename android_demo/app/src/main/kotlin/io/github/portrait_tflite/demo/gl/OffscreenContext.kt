package io.github.portrait_tflite.demo.gl

import android.opengl.EGL14
import android.opengl.EGLConfig
import android.opengl.EGLExt
import java.io.Closeable

/**
 * An OpenGL ES 3 context without a screen, current on the thread that made it.
 *
 * Making it throws [GlFailure] where the phone has none.
 */
class OffscreenContext(width: Int, height: Int) : Closeable {
    private val display = EGL14.eglGetDisplay(EGL14.EGL_DEFAULT_DISPLAY)
    private val config = configure()
    private val surface =
        EGL14.eglCreatePbufferSurface(
            display,
            config,
            intArrayOf(EGL14.EGL_WIDTH, width, EGL14.EGL_HEIGHT, height, EGL14.EGL_NONE),
            0,
        )
    private val context =
        EGL14.eglCreateContext(
            display,
            config,
            EGL14.EGL_NO_CONTEXT,
            intArrayOf(EGL14.EGL_CONTEXT_CLIENT_VERSION, VERSION, EGL14.EGL_NONE),
            0,
        )

    init {
        if (!EGL14.eglMakeCurrent(display, surface, surface, context)) {
            throw GlFailure(
                "OpenGL ES 3 without a screen is required. Received: error ${EGL14.eglGetError()}.",
            )
        }
    }

    private fun configure(): EGLConfig? {
        EGL14.eglInitialize(display, IntArray(1), 0, IntArray(1), 0)
        val wanted =
            intArrayOf(
                EGL14.EGL_RENDERABLE_TYPE, EGLExt.EGL_OPENGL_ES3_BIT_KHR,
                EGL14.EGL_SURFACE_TYPE, EGL14.EGL_PBUFFER_BIT,
                EGL14.EGL_RED_SIZE, BITS, EGL14.EGL_GREEN_SIZE, BITS, EGL14.EGL_BLUE_SIZE, BITS,
                EGL14.EGL_NONE,
            )
        val found = arrayOfNulls<EGLConfig>(1)
        EGL14.eglChooseConfig(display, wanted, 0, found, 0, 1, IntArray(1), 0)
        return found[0]
            ?: throw GlFailure("OpenGL ES 3 without a screen is required. Received: none.")
    }

    override fun close() {
        EGL14.eglMakeCurrent(
            display,
            EGL14.EGL_NO_SURFACE,
            EGL14.EGL_NO_SURFACE,
            EGL14.EGL_NO_CONTEXT,
        )
        EGL14.eglDestroySurface(display, surface)
        EGL14.eglDestroyContext(display, context)
    }

    private companion object {
        const val VERSION = 3
        const val BITS = 8
    }
}
