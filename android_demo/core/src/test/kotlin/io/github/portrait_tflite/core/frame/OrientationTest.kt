package io.github.portrait_tflite.core.frame

import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** Frames of numbered pixels turned upright. */
class OrientationTest {
    // 1 2 3
    // 4 5 6
    private val frame = ArgbFrame(3, 2, IntArray(6) { it + 1 })

    @Test
    fun `frames are rotated clockwise, then mirrored`() {
        assertTurned(listOf(1, 2, 3, 4, 5, 6), width = 3, Orientation())
        assertTurned(listOf(4, 1, 5, 2, 6, 3), width = 2, Orientation(90))
        assertTurned(listOf(6, 5, 4, 3, 2, 1), width = 3, Orientation(180))
        assertTurned(listOf(3, 6, 2, 5, 1, 4), width = 2, Orientation(270))
        assertTurned(listOf(3, 2, 1, 6, 5, 4), width = 3, Orientation(0, mirrored = true))
        assertTurned(listOf(1, 4, 2, 5, 3, 6), width = 2, Orientation(90, mirrored = true))
    }

    @Test
    fun `other angles are refused`() {
        assertThrows<IllegalArgumentException> { Orientation(45) }
    }

    @Test
    fun `too few pixels are refused`() {
        assertThrows<IllegalArgumentException> { ArgbFrame(3, 3, IntArray(8)) }
    }

    @Test
    fun `a camera's picture without colour is gray, also of odd size`() {
        val yuv = YuvFrame().apply { resize(3, 3) }
        yuv.y.load(ByteBuffer.wrap(ByteArray(9) { (28 * it).toByte() }), 3, 1)
        for (chroma in listOf(yuv.u, yuv.v)) {
            chroma.load(ByteBuffer.wrap(ByteArray(4) { 128.toByte() }), 2, 1)
        }
        val grays = yuv.upright(Orientation(180)).pixels.map { it and 0xff }
        assertEquals(List(9) { 28 * (8 - it) }, grays)
    }

    @Test
    fun `a plane is loaded from where its buffer stands and leaves it there`() {
        val buffer = ByteBuffer.wrap(byteArrayOf(9, 1, 2)).apply { position(1) }
        val plane = YuvFrame().y
        plane.load(buffer, 2, 1)
        assertArrayEquals(byteArrayOf(1, 2), plane.bytes)
        assertEquals(1, buffer.position())
        val before = plane.bytes
        plane.load(ByteBuffer.wrap(byteArrayOf(5)), 1, 1)
        assertEquals(before, plane.bytes)
    }

    private fun assertTurned(expected: List<Int>, width: Int, orientation: Orientation) {
        val turned = frame.upright(orientation)
        assertEquals(width, turned.width)
        assertEquals(expected, turned.pixels.map { it and 0xff })
    }
}
