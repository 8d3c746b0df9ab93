package io.github.portrait_tflite.core.measure

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** The figures are NumPy's. */
class StatisticsTest {
    @Test
    fun `a series is reduced as numpy does`() {
        // np.percentile([9, 1, 4, 16, 25], (50, 90, 95)), np.median(np.abs(x - 9))
        val found = Statistics.of(doubleArrayOf(9.0, 1.0, 4.0, 16.0, 25.0))
        assertEquals(9.0, found.median)
        assertEquals(11.0, found.mean)
        assertEquals(21.4, found.p90, 1e-9)
        assertEquals(23.2, found.p95, 1e-9)
        assertEquals(1.0, found.min)
        assertEquals(7.0, found.mad)
        assertEquals(1.5, Statistics.of(doubleArrayOf(2.0, 1.0)).median)
    }

    @Test
    fun `nothing cannot be reduced`() {
        assertThrows<IllegalArgumentException> { Statistics.of(DoubleArray(0)) }
    }

    @Test
    fun `doubts are said aloud`() {
        val steady = DoubleArray(50) { 10.0 }
        assertEquals(emptyList<String>(), doubts(steady))
        assertTrue(isStable(Statistics.of(steady)))
        val noisy = DoubleArray(50) { if (it % 2 == 0) 8.0 else 12.0 }
        assertEquals(1, doubts(noisy).size)
        assertFalse(isStable(Statistics.of(noisy)))
        assertEquals("only 3 runs; use 50 or more", doubts(DoubleArray(3) { 1.0 }).single())
    }

    @Test
    fun `timings settle when they no longer fall`() {
        assertFalse(hasSettled(List(9) { 5.0 }))
        assertTrue(hasSettled(List(10) { 5.0 }))
        assertFalse(hasSettled(List(10) { 20.0 - it }))
        assertEquals(
            listOf("timings had not settled after 10 runs of warm-up; measure again"),
            warmUpDoubts(List(10) { 20.0 - it }),
        )
    }

    @Test
    fun `heat is a warning`() {
        assertEquals(emptyList<String>(), heatWarnings(BeforeAfter("none", "none")))
        assertEquals(
            listOf("thermal status went from none to light; cool down longer"),
            heatWarnings(BeforeAfter("none", "light")),
        )
    }
}
