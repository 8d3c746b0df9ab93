package io.github.portrait_tflite.demo.gl

import android.opengl.EGL14
import android.opengl.EGLConfig
import android.opengl.EGLExt
import io.github.portrait_tflite.demo.R
import java.io.Closeable

/**
 * An OpenGL ES 3 context without a screen. Making it throws [GlFailure] where the phone has none.
 *
 * It is current in [run] alone: a GPU delegate may have one of its own on the same thread.
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

    /** Runs [work] with this context and gives back the one that was current. */
    fun <T> run(work: () -> T): T {
        val before = EGL14.eglGetCurrentContext()
        val drawn = EGL14.eglGetCurrentSurface(EGL14.EGL_DRAW)
        val read = EGL14.eglGetCurrentSurface(EGL14.EGL_READ)
        if (!EGL14.eglMakeCurrent(display, surface, surface, context)) {
            throw GlFailure(R.string.gl_none, EGL14.eglGetError())
        }
        try {
            return work()
        } finally {
            EGL14.eglMakeCurrent(display, drawn, read, before)
        }
    }

    private fun configure(): EGLConfig {
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
        return found[0] ?: throw GlFailure(R.string.gl_none, EGL14.eglGetError())
    }

    /** Frees it with all that was made in it. */
    override fun close() {
        EGL14.eglDestroySurface(display, surface)
        EGL14.eglDestroyContext(display, context)
    }

    private companion object {
        const val VERSION = 3
        const val BITS = 8
    }
}
