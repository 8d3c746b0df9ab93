package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.FakeFactory
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Frame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.mask.Mask
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.CheckedFactory
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
private val GPU = DelegateChoice(DelegateKind.GPU)
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
    fun `the first inference of a GPU is the one that it was checked with`() {
        val slowAtFirst =
            FakeFactory { choice, fake ->
                phone.now += (if (fake.runs == 1) 900 else 5) * MS
                fake.outputs[0].put(0, choice.kind.ordinal.toByte())
            }
        val row = measure(CheckedFactory(slowAtFirst, phone::nanoTime), listOf(GPU)).single()
        assertEquals(900.0, row.firstMs)
        assertEquals(5.0, row.latencyMs?.median)
        assertEquals(1 + row.warmup + row.runs, slowAtFirst.opened.first().runs)
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
        val stages = Stages()
        val row = measure(factory(tookMs = { 5 }), stages = { stages }).first()
        val frames = checkNotNull(row.frameMs)
        assertEquals(2.0, frames.camera?.median)
        assertEquals(5.0, frames.inference?.median)
        assertEquals(0.0, frames.preprocess?.median)
        assertEquals(3.0, frames.effect?.median)
        assertEquals(listOf("frames of 8 x 6"), row.warnings)
        assertTrue(stages.closed)
    }

    @Test
    fun `stages are those of the row's own variant`() {
        val asked = ArrayList<String>()
        Benchmark(TestModel.source(), TestModel.card(), factory(tookMs = { 5 }), phone) {
            Stages().also { _ -> asked += it.name }
        }.run(listOf("float16", "int8"), listOf(CPU), SHORT)
        assertEquals(listOf("float16", "int8"), asked)
    }

    @Test
    fun `stages that cannot be opened leave a warning and the network's times`() {
        val rows =
            measure(factory(tookMs = { 5 }), listOf(CPU, XNNPACK)) { error("no context") }
        for (row in rows) {
            assertNull(row.frameMs)
            assertEquals(listOf("no stage times: no context"), row.warnings)
            assertEquals(5.0, row.latencyMs?.median)
            assertEquals("", row.error + row.unavailable)
        }
    }

    @Test
    fun `stages that break are closed, and the benchmark goes on`() {
        val broken = listOf(Stages(IllegalStateException("the driver")), Stages(OutOfMemoryError()))
        val left = broken.iterator()
        val rows = measure(factory(tookMs = { 5 }), listOf(CPU, XNNPACK)) { left.next() }
        assertEquals(listOf("no stage times: the driver"), rows[0].warnings)
        assertEquals(listOf("no stage times: OutOfMemoryError"), rows[1].warnings)
        assertTrue(rows.all { it.frameMs == null && it.latencyMs?.median == 5.0 })
        assertTrue(broken.all { it.closed })
    }

    @Test
    fun `a runtime that throws anything fails its cell alone`() {
        val works = factory(tookMs = { 5 })
        val breaks = FakeFactory { _, _ -> error("Internal error") }
        val rows =
            measure(
                { variant, choice -> (if (choice == CPU) breaks else works).open(variant, choice) },
                listOf(CPU, XNNPACK),
            )
        assertTrue("Received: Internal error." in rows[0].error, rows[0].error)
        assertEquals(50, rows[1].runs)
        assertEquals(1, breaks.opened.single().closes)
    }

    @Test
    fun `an interrupted thread ends the run within an inference and closes the network`() {
        val stopped = FakeFactory { _, fake ->
            if (fake.runs ==
                3
            ) {
                Thread.currentThread().interrupt()
            }
        }
        assertThrows<InterruptedException> { measure(stopped, listOf(CPU, XNNPACK)) }
        val only = stopped.opened.single()
        assertEquals(listOf(3, 1), listOf(only.runs, only.closes))
    }

    @Test
    fun `an interrupted thread ends the frames, too`() {
        val stages = Stages(onEffect = { Thread.currentThread().interrupt() })
        assertThrows<InterruptedException> { measure(factory(tookMs = { 5 })) { stages } }
        assertTrue(stages.closed)
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
        stages: FrameStagesFactory? = null,
    ) = Benchmark(TestModel.source(), TestModel.card(), factory, phone, stages = stages)
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

    /** A camera and an effect that take their time, or throw [failure]. */
    private inner class Stages(
        private val failure: Throwable? = null,
        private val onEffect: () -> Unit = {},
    ) : FrameStages {
        override val orientation = Orientation(90)
        override val remark = "frames of 8 x 6"
        private val frame = ArgbFrame(8, 6, IntArray(48))
        var closed = false

        override fun camera(): Frame = frame.also { phone.now += 2 * MS }

        override fun effect(frame: Frame, mask: Mask) {
            failure?.let { throw it }
            onEffect()
            phone.now += 3 * MS
        }

        override fun close() {
            closed = true
        }
    }
}
