package io.github.portrait_tflite.core.frame

import java.nio.ByteBuffer
import java.util.IdentityHashMap
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotSame
import org.junit.jupiter.api.Test

private const val WIDTH = 8
private const val HEIGHT = 6
private val TURNED = Orientation(90, mirrored = true)

/** Tables are made for a layout, and not for the buffers that frames come in. */
internal class PixelRowsCacheTest {
    private val cache = PixelRowsCache()
    private val made = IdentityHashMap<PixelRows, Unit>()

    @Test
    fun `frames that take turns in five buffers share their tables`() {
        val pool = List(5) { gray(it * 10) }
        repeat(50) { number ->
            val rows = cache.of(pool[number % 5], TURNED).also { made[it] = Unit }
            assertEquals(number % 5 * 10, luma(rows))
        }
        assertEquals(1, made.size)
    }

    @Test
    fun `packed pixels share their tables, too`() {
        val pool = List(2) { ArgbFrame(WIDTH, HEIGHT, IntArray(WIDTH * HEIGHT) { _ -> it }) }
        repeat(6) { number ->
            val rows = cache.of(pool[number % 2], TURNED).also { made[it] = Unit }
            assertEquals(number % 2, luma(rows))
        }
        assertEquals(1, made.size)
    }

    @Test
    fun `a buffer that was loaded anew with a larger array is read`() {
        val frame = gray(10)
        cache.of(frame, TURNED)
        frame.y.load(ByteBuffer.wrap(ByteArray(2 * WIDTH * HEIGHT) { 99 }), WIDTH, 1)
        assertEquals(99, luma(cache.of(frame, TURNED)))
    }

    @Test
    fun `whatever lies otherwise needs other tables`() {
        val one = gray(10)
        val first = cache.of(one, TURNED)
        val others =
            listOf<Pair<Frame, Orientation>>(
                one to Orientation(270, mirrored = true),
                one to Orientation(90),
                gray(10, padding = 4) to TURNED,
                gray(10, chroma = 2) to TURNED,
                gray(10, width = WIDTH + 2) to TURNED,
                ArgbFrame(WIDTH, HEIGHT, IntArray(WIDTH * HEIGHT)) to TURNED,
            )
        for ((frame, orientation) in others) {
            assertNotSame(first, cache.of(frame, orientation))
            cache.of(one, TURNED)
        }
    }

    private fun luma(rows: PixelRows): Int =
        IntArray(3).also { rows.read(rows.height - 1, intArrayOf(rows.width - 1), it) }[2]

    private fun gray(luma: Int, width: Int = WIDTH, padding: Int = 0, chroma: Int = 1) =
        YuvFrame().apply {
            resize(width, HEIGHT)
            y.load(plane((width + padding) * HEIGHT, luma), width + padding, 1)
            u.load(plane(chroma * width * HEIGHT / 4, 128), chroma * width / 2, chroma)
            v.load(plane(chroma * width * HEIGHT / 4, 128), chroma * width / 2, chroma)
        }

    private fun plane(bytes: Int, value: Int) = ByteBuffer.wrap(ByteArray(bytes) { value.toByte() })
}
