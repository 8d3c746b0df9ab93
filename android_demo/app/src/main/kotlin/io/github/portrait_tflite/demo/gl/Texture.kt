package io.github.portrait_tflite.demo.gl

import android.graphics.Bitmap
import android.opengl.GLES30
import android.opengl.GLUtils
import io.github.portrait_tflite.demo.R
import java.nio.ByteBuffer

/** A texture that is filled from memory; clamped at its edges. */
class Texture(private val filter: Int) {
    val id: Int = newTexture(filter)

    /**
     * Fills it with bytes, one per pixel.
     *
     * @param rowStride bytes from a row to the next.
     */
    fun load(bytes: ByteArray, width: Int, height: Int, rowStride: Int) {
        GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, id)
        GLES30.glPixelStorei(GLES30.GL_UNPACK_ALIGNMENT, 1)
        GLES30.glPixelStorei(GLES30.GL_UNPACK_ROW_LENGTH, rowStride)
        GLES30.glTexImage2D(
            GLES30.GL_TEXTURE_2D, 0, GLES30.GL_R8, width, height, 0,
            GLES30.GL_RED, GLES30.GL_UNSIGNED_BYTE, ByteBuffer.wrap(bytes),
        )
        GLES30.glPixelStorei(GLES30.GL_UNPACK_ROW_LENGTH, 0)
    }

    /** Fills it with a picture. */
    fun load(picture: Bitmap) {
        GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, id)
        GLUtils.texImage2D(GLES30.GL_TEXTURE_2D, 0, picture, 0)
    }
}

/** A texture that is drawn into. */
class Target(private val format: Int, filter: Int) {
    val id: Int = newTexture(filter)
    private val frame = IntArray(1).also { GLES30.glGenFramebuffers(1, it, 0) }[0]
    private var width = 0
    private var height = 0

    /** Directs what is drawn next into this texture, at a size. */
    fun begin(width: Int, height: Int) {
        GLES30.glBindFramebuffer(GLES30.GL_FRAMEBUFFER, frame)
        if (width != this.width || height != this.height) resize(width, height)
        GLES30.glViewport(0, 0, width, height)
    }

    private fun resize(width: Int, height: Int) {
        this.width = width
        this.height = height
        val half = format == GLES30.GL_RGBA16F
        val type = if (half) GLES30.GL_HALF_FLOAT else GLES30.GL_UNSIGNED_BYTE
        GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, id)
        GLES30.glTexImage2D(
            GLES30.GL_TEXTURE_2D,
            0,
            format,
            width,
            height,
            0,
            GLES30.GL_RGBA,
            type,
            null,
        )
        GLES30.glFramebufferTexture2D(
            GLES30.GL_FRAMEBUFFER,
            GLES30.GL_COLOR_ATTACHMENT0,
            GLES30.GL_TEXTURE_2D,
            id,
            0,
        )
        val status = GLES30.glCheckFramebufferStatus(GLES30.GL_FRAMEBUFFER)
        if (status != GLES30.GL_FRAMEBUFFER_COMPLETE) {
            throw GlFailure(R.string.gl_target, width, height, status)
        }
    }
}

private fun newTexture(filter: Int): Int {
    val made = IntArray(1)
    GLES30.glGenTextures(1, made, 0)
    GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, made[0])
    for (side in listOf(GLES30.GL_TEXTURE_MIN_FILTER, GLES30.GL_TEXTURE_MAG_FILTER)) {
        GLES30.glTexParameteri(GLES30.GL_TEXTURE_2D, side, filter)
    }
    for (axis in listOf(GLES30.GL_TEXTURE_WRAP_S, GLES30.GL_TEXTURE_WRAP_T)) {
        GLES30.glTexParameteri(GLES30.GL_TEXTURE_2D, axis, GLES30.GL_CLAMP_TO_EDGE)
    }
    return made[0]
}
