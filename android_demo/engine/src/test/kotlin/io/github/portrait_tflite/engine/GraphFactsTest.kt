package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tensorflow.lite.Interpreter

private val GPU = DelegateChoice(DelegateKind.GPU)

/** Partitions, fallbacks and what is running. */
class GraphFactsTest {
    @Test
    fun `one step is one partition`() {
        assertEquals(1, GraphFacts(1, 60, emptyList()).partitions(DelegateKind.GPU))
    }

    @Test
    fun `the log tells how many steps are partitions`() {
        val log =
            listOf(
                logged(taken = 5, all = 60, "TfLiteGpuDelegateV2"),
                logged(taken = 55, all = 60, "TfLiteGpuDelegateV2"),
                logged(taken = 7, all = 7, "TfLiteGpuDelegateV2"),
                "I/tflite: Created TensorFlow Lite delegate for GPU.",
            )
        // Five ops outside and two partitions.
        assertEquals(2, GraphFacts(7, 60, log).partitions(DelegateKind.GPU))
        assertNull(GraphFacts(7, 60, log).partitions(DelegateKind.XNNPACK))
    }

    @Test
    fun `without a log nothing is guessed`() {
        assertNull(GraphFacts(7, 60, emptyList()).partitions(DelegateKind.GPU))
        assertNull(GraphFacts(null, 60, emptyList()).partitions(DelegateKind.GPU))
    }

    @Test
    fun `a delegate that took nothing, or single ops, is a fallback`() {
        val setup = DelegateSetup(Interpreter.Options(), remark = "less precise")
        val running = describe(GPU, setup, GraphFacts(60, 60, emptyList()))
        assertEquals(DelegateKind.CPU, running.actual.kind)
        assertEquals(
            "gpu joined none of the 60 ops: built-in kernels run all, or all but single ones",
            running.fallback,
        )
        assertEquals("", running.remark)
        val single = logged(taken = 3, all = 60, "TfLiteGpuDelegateV2")
        assertEquals(running, describe(GPU, setup, GraphFacts(60, 60, listOf(single))))
        val taken = describe(GPU, setup, GraphFacts(1, 60, emptyList()))
        assertEquals(GPU, taken.actual)
        assertEquals("less precise", taken.remark)
    }

    @Test
    fun `the real runtime tells its steps`() {
        val variant = Nets.load("rgb_stretch_int8", "float16")
        DesktopRuntime.factory().open(variant, DelegateChoice(DelegateKind.CPU)).use { cpu ->
            assertEquals(variant.ops, cpu.running.steps)
            assertEquals("", cpu.running.fallback)
        }
        DesktopRuntime.factory().open(
            variant,
            DelegateChoice(DelegateKind.XNNPACK),
        ).use { xnnpack ->
            val steps = checkNotNull(xnnpack.running.steps)
            assertTrue(steps < variant.ops || xnnpack.running.fallback.isNotEmpty())
            assertTrue(xnnpack.initMs > 0)
        }
    }

    @Test
    fun `the runtime's version is known`() {
        DesktopRuntime.factory()
        assertEquals("2.6.2", TfliteFactory.runtimeVersion())
    }

    private fun logged(taken: Int, all: Int, delegate: String) =
        "I/tflite: Replacing $taken out of $all node(s) with delegate ($delegate) node, " +
            "yielding 5 partitions for subgraph 0."
}
