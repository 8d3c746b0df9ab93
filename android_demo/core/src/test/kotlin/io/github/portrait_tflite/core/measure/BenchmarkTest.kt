package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.FakeFactory
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.DelegateUnavailable
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.core.run.SegmenterFactory
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

private const val MS = 1_000_000L
private val CPU = DelegateChoice(DelegateKind.CPU)
private val XNNPACK = DelegateChoice(DelegateKind.XNNPACK, 4)
private val SHORT = Effort(runs = 50, seconds = 0.0, coolDownSeconds = 30.0)

/** Cells on a clock that goes on by what the network is played to take. */
class BenchmarkTest {
    private val phone = Phone()

    @Test
    fun `a cell holds all that a report needs`() {
        val row = measure(factory(tookMs = { 5 })).first()
        assertEquals(50, row.runs)
        assertEquals(10, row.warmup)
        assertEquals(5.0, row.latencyMs?.median)
        assertEquals(5.0, row.firstMs)
        assertEquals(7.0, row.initMs)
        assertEquals(1, row.partitions)
        assertEquals(123.0, row.peakRssMb)
        assertEquals(BeforeAfter<Double>(30.0, 31.0), row.batteryC)
        assertEquals(emptyList<String>(), row.warnings)
        assertTrue(row.stable)
        assertEquals(50, row.samplesMs.size)
        assertNull(row.frameMs)
    }

    @Test
    fun `it rests between cells, not before the first`() {
        val rows = measure(factory(tookMs = { 5 }), listOf(CPU, XNNPACK, CPU))
        assertEquals(3, rows.size)
        assertEquals(listOf(30.0, 30.0), phone.pauses)
    }

    @Test
    fun `seconds ask for more runs`() {
        val effort = Effort(runs = 10, seconds = 1.0, coolDownSeconds = 0.0)
        val row = measure(factory(tookMs = { 5 }), effort = effort).first()
        assertEquals(200, row.runs)
    }

    @Test
    fun `timings that never settle and noise are warned of`() {
        val row = measure(factory(tookMs = { run -> 1000L / (run + 1) + 1 })).first()
        assertEquals(50, row.warmup)
        assertTrue(row.warnings.any { "had not settled after 50 runs" in it }, "${row.warnings}")
    }

    @Test
    fun `a hotter phone is warned of`() {
        phone.heats = true
        val row = measure(factory(tookMs = { 5 })).first()
        assertEquals(BeforeAfter<String>("none", "moderate"), row.thermal)
        assertTrue(row.warnings.any { "from none to moderate" in it })
    }

    @Test
    fun `stages are timed around the network`() {
        val stages = Stages(phone)
        val row = measure(factory(tookMs = { 5 }), stages = stages).first()
        val frames = checkNotNull(row.frameMs)
        assertEquals(2.0, frames.camera?.median)
        assertEquals(5.0, frames.inference?.median)
        assertEquals(0.0, frames.preprocess?.median)
        assertEquals(3.0, frames.effect?.median)
    }

    @Test
    fun `cells that fail say so and the others go on`() {
        val works = factory(tookMs = { 5 })
        val factory =
            SegmenterFactory { variant, choice ->
                if (choice == XNNPACK) throw DelegateUnavailable("not here")
                works.open(variant, choice)
            }
        val rows =
            Benchmark(TestModel.source(), TestModel.card(), factory, phone)
                .run(listOf("int4", "int8"), listOf(XNNPACK, CPU), SHORT)
        assertTrue("Received: int4." in rows[0].error)
        assertEquals("not here", rows[2].unavailable)
        assertEquals("", rows[2].error)
        assertNull(rows[2].latencyMs)
        assertEquals(50, rows[3].runs)
        assertEquals(BeforeAfter<Double>(30.0, 31.0), rows[0].batteryC)
    }

    @Test
    fun `another delegate's timings are not taken`() {
        val factory = FakeFactory(runningOf = { Running(it, CPU, null, 9, 9, "took none") })
        val row = measure(factory, listOf(XNNPACK)).single()
        assertEquals("took none", row.unavailable)
        assertEquals(0, row.runs)
        assertEquals(1, factory.opened.single().closes)
    }

    @Test
    fun `efforts make sense`() {
        assertThrows<IllegalArgumentException> { Effort(runs = 0) }
        assertThrows<IllegalArgumentException> { Effort(seconds = -1.0) }
        assertThrows<IllegalArgumentException> { Effort(coolDownSeconds = -1.0) }
    }

    private fun measure(
        factory: SegmenterFactory,
        choices: List<DelegateChoice> = listOf(CPU),
        effort: Effort = SHORT,
        stages: FrameStages? = null,
    ) = Benchmark(TestModel.source(), TestModel.card(), factory, phone, stages)
        .run(listOf("int8"), choices, effort)

    /** Each run takes as long as [tookMs] says of its number. */
    private fun factory(tookMs: (Int) -> Long) =
        FakeFactory { _, fake -> phone.now += tookMs(fake.runs - 1) * MS }

    private class Phone : DeviceState {
        var now = 0L
        var heats = false
        val pauses = ArrayList<Double>()
        private var asked = 0

        override val thermal: String get() = if (heats && asked > 0) "moderate" else "none"
        override val batteryC: Double get() = 30.0 + asked++ % 2
        override val peakRssMb = 123.0

        override fun nanoTime() = now

        override fun pause(seconds: Double) {
            pauses += seconds
        }
    }

    private class Stages(private val phone: Phone) : FrameStages {
        override val orientation = Orientation(90)
        private val frame = ArgbFrame(8, 6, IntArray(48))

        override fun camera(): Frame = frame.also { phone.now += 2 * MS }

        override fun effect(frame: Frame, mask: Mask) {
            phone.now += 3 * MS
        }
    }
}
