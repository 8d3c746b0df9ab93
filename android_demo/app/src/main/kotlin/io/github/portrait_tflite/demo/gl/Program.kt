package io.github.portrait_tflite.demo.gl

import android.content.res.Resources
import android.opengl.GLES30
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal

/** The GPU's driver refuses what every OpenGL ES 3.0 driver takes; see [Refusal]. */
class GlFailure(text: Int, vararg given: Any) : Refusal(text, *given)

/**
 * A shader that covers its target, row by row from the top. Use it on the thread of its context.
 *
 * @param fragment a resource in `res/raw`.
 */
class Program(resources: Resources, fragment: Int) {
    private val id = GLES30.glCreateProgram()
    private val places = HashMap<String, Int>()
    private var units = 0

    init {
        val stages =
            listOf(
                compile(GLES30.GL_VERTEX_SHADER, resources.text(R.raw.quad_vertex)),
                compile(GLES30.GL_FRAGMENT_SHADER, resources.text(fragment)),
            )
        stages.forEach { GLES30.glAttachShader(id, it) }
        GLES30.glLinkProgram(id)
        stages.forEach { GLES30.glDeleteShader(it) }
        val linked = IntArray(1)
        GLES30.glGetProgramiv(id, GLES30.GL_LINK_STATUS, linked, 0)
        if (linked[0] == 0) throw GlFailure(R.string.gl_link, GLES30.glGetProgramInfoLog(id))
    }

    /** Begins a pass; its textures and numbers follow, then [draw]. */
    fun use() {
        GLES30.glUseProgram(id)
        units = 0
    }

    /** Binds a texture to the next unit. */
    fun texture(name: String, texture: Int) {
        GLES30.glActiveTexture(GLES30.GL_TEXTURE0 + units)
        GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, texture)
        set(name, units++)
    }

    /** Sets a whole number or a truth value. */
    fun set(name: String, value: Int) = GLES30.glUniform1i(place(name), value)

    /** Sets a float. */
    fun set(name: String, value: Float) = GLES30.glUniform1f(place(name), value)

    /** Sets a pair of whole numbers. */
    fun set(name: String, x: Int, y: Int) = GLES30.glUniform2i(place(name), x, y)

    /** Sets three floats. */
    fun set(name: String, x: Float, y: Float, z: Float) = GLES30.glUniform3f(place(name), x, y, z)

    /** Sets four floats. */
    fun set(name: String, x: Float, y: Float, z: Float, w: Float) =
        GLES30.glUniform4f(place(name), x, y, z, w)

    /** Draws the triangle that covers the target. */
    fun draw() = GLES30.glDrawArrays(GLES30.GL_TRIANGLES, 0, CORNERS)

    private fun place(name: String) = places.getOrPut(name) {
        GLES30.glGetUniformLocation(id, name)
    }

    private companion object {
        const val CORNERS = 3
    }
}

private fun Resources.text(resource: Int): String = openRawResource(resource).use {
    it.readBytes().decodeToString()
}

private fun compile(kind: Int, source: String): Int {
    val shader = GLES30.glCreateShader(kind)
    GLES30.glShaderSource(shader, source)
    GLES30.glCompileShader(shader)
    val compiled = IntArray(1)
    GLES30.glGetShaderiv(shader, GLES30.GL_COMPILE_STATUS, compiled, 0)
    if (compiled[0] == 0) throw GlFailure(R.string.gl_compile, GLES30.glGetShaderInfoLog(shader))
    return shader
}
