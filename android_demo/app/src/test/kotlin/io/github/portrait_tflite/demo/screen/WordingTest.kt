package io.github.portrait_tflite.demo.screen

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.live.SessionState
import io.github.portrait_tflite.demo.live.Stage
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.models.RunOption
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

@RunWith(AppRunner::class)
class WordingTest {
    private val wording = Wording(RuntimeEnvironment.getApplication().resources)
    private val xnnpack = DelegateChoice(DelegateKind.XNNPACK, 4)

    private fun said(running: Running?, opening: Boolean = false): List<String> {
        val option = running?.let { RunOption("int8", it.asked) }
        val state = SessionState(option = option, running = running, opening = opening)
        return wording.running(state).lines()
    }

    private fun running(partitions: Int?) =
        Running(xnnpack, xnnpack, partitions, steps = partitions, ops = 60)

    @Test
    fun saysWhatWasAskedAndInHowManyPartitionsItRuns() {
        val asked = "Asked: int8 on xnnpack, 4 threads"
        val runs = "Runs: xnnpack, 4 threads, "
        assertEquals(listOf(asked, "${runs}1 partition of 60 ops"), said(running(1)))
        assertEquals(listOf(asked, "${runs}3 partitions of 60 ops"), said(running(3)))
        val untold = "${runs}the runtime does not say in how many partitions"
        assertEquals(listOf(asked, untold), said(running(null)))
    }

    @Test
    fun saysWhyAnotherRunsThanWasAsked() {
        val gpu = DelegateChoice(DelegateKind.GPU)
        val cpu = DelegateChoice(DelegateKind.CPU)
        val fallback = Running(gpu, cpu, null, null, 60, fallback = "the GPU did not run")
        assertEquals(
            listOf(
                "Asked: int8 on gpu",
                "Runs: cpu, 1 thread, a fallback, because the GPU did not run",
            ),
            said(fallback),
        )
    }

    @Test
    fun saysWhatToMind() {
        val remarked = running(1).copy(remark = "half floats")
        assertEquals("Mind: half floats", said(remarked)[2])
    }

    @Test
    fun saysThatNothingRunsYet() {
        assertEquals(listOf("No model is open."), said(null))
        assertEquals(listOf("Opening…"), said(running(1), opening = true))
    }

    @Test
    fun saysMedianAndNinetiethPercentileOfEveryStage() {
        val clock = StageClock()
        assertEquals("No frame yet.", wording.times(clock))
        for (stage in Stage.entries) {
            for (ms in 0..10) clock.record(stage, ms + 100.0 * stage.ordinal)
        }
        val lines =
            listOf(
                "Camera: 5.0 ms, 9.0 ms",
                "Preprocessing: 105.0 ms, 109.0 ms",
                "Inference: 205.0 ms, 209.0 ms",
                "Effect: 305.0 ms, 309.0 ms",
            )
        assertEquals(lines, wording.times(clock).lines())
    }

    @Test
    fun leavesOutAStageThatWasNotTimed() {
        val clock = StageClock().apply { record(Stage.INFERENCE, 2.0) }
        assertEquals("Inference: 2.0 ms, 2.0 ms", wording.times(clock))
    }

    @Test
    fun namesOptionsAndTheGpusLoss() {
        assertEquals("int8 on xnnpack, 4 threads", wording.option(RunOption("int8", xnnpack)))
        val gpu = RunOption("float16", DelegateChoice(DelegateKind.GPU))
        assertEquals("float16 on gpu, less precise: half floats", wording.option(gpu))
    }
}
