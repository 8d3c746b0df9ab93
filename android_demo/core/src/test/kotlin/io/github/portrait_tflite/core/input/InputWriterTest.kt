package io.github.portrait_tflite.core.input

import com.sun.management.ThreadMXBean
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.direct
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.frame.YuvFrame
import io.github.portrait_tflite.core.mask.Mask
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

private const val WIDTH = 640
private const val HEIGHT = 480
private const val ALLOWED_BYTES = 8192 // of a frame of 640 x 480: nothing per pixel or row

/** What the vectors do not hold: states, changing frames, memory. */
class InputWriterTest {
    @Test
    fun `no memory is taken per pixel`() {
        val card = TestModel.card().variant("int8")
        val (writer, input) = InputWriter(card) to direct(card.input.bytes)
        val pool = List(2) { camera() } // as the app's, whose frames take turns
        val orientation = Orientation(90, mirrored = true)
        repeat(4) { writer.write(pool[it % 2], orientation, null, input) }
        val threads = ManagementFactory.getThreadMXBean() as ThreadMXBean
        val id = Thread.currentThread().id
        val before = threads.getThreadAllocatedBytes(id)
        writer.write(pool[0], orientation, null, input)
        val taken = threads.getThreadAllocatedBytes(id) - before
        assertTrue(taken < ALLOWED_BYTES, "$taken bytes")
    }

    @Test
    fun `the previous mask lies behind the colours`() {
        val card = TestModel.card("previous_mask_channel_uint8").variant("int8")
        val writer = InputWriter(card)
        val input = direct(card.input.bytes)
        val white = ArgbFrame(2, 2, IntArray(4) { -1 })
        writer.write(white, Orientation(), null, input)
        assertEquals(listOf(255, 255, 255, 0), pixel(input))
        val half = Mask(4, 4, FloatArray(16) { 128f / 255 })
        writer.write(white, Orientation(), half, input)
        assertEquals(listOf(255, 255, 255, 128), pixel(input))
    }

    @Test
    fun `letterbox bars are black again when the frame's shape changes`() {
        val card = TestModel.card("gray_letterbox_uint8").variant("int8")
        val writer = InputWriter(card)
        val input = direct(card.input.bytes)
        writer.write(ArgbFrame(48, 40, IntArray(48 * 40) { -1 }), Orientation(), null, input)
        assertEquals(255, input[0].toInt() and 0xff)
        writer.write(ArgbFrame(48, 10, IntArray(480) { -1 }), Orientation(), null, input)
        assertEquals(0, input[0].toInt())
        assertEquals(255, input[20 * 48].toInt() and 0xff)
    }

    private fun pixel(input: ByteBuffer) = List(4) { input[it].toInt() and 0xff }

    private fun camera(): YuvFrame {
        val frame = YuvFrame().apply { resize(WIDTH, HEIGHT) }
        frame.y.load(ByteBuffer.allocate(WIDTH * HEIGHT), WIDTH, 1)
        frame.u.load(ByteBuffer.allocate(WIDTH * HEIGHT / 2), WIDTH, 2)
        frame.v.load(ByteBuffer.allocate(WIDTH * HEIGHT / 2), WIDTH, 2)
        return frame
    }
}
