package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.DelegateUnavailable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

private const val NET = "rgb_stretch_int8"
private val CPU = DelegateChoice(DelegateKind.CPU)

/** What cannot run is said in one sentence each. */
class ExplainedTest {
    private val factory = DesktopRuntime.factory()

    @Test
    fun `a desktop has no GPU and says so`() {
        val error =
            assertThrows<DelegateUnavailable> {
                factory.open(Nets.load(NET, "float16"), DelegateChoice(DelegateKind.GPU))
            }
        assertEquals(
            "gpu needs a library that this device or app has not. Received: Failed to load " +
                "native GpuDelegate methods. Choose another delegate.",
            error.sentence,
        )
    }

    @Test
    fun `an op that the runtime does not know is named`() {
        val known = Nets.load(NET, "int8")
        val error =
            assertThrows<BadModel> { factory.open(known.with(newerOps(known.data)), CPU) }
        assertTrue("a runtime that knows CONV_2D version 120" in error.sentence, error.sentence)
        assertTrue("TensorFlow Lite 2.6.2" in error.sentence, error.sentence)
    }

    @Test
    fun `bytes that are no model are refused`() {
        val known = Nets.load(NET, "int8")
        val zeros = ByteBuffer.allocateDirect(64).order(ByteOrder.nativeOrder())
        val error = assertThrows<BadModel> { factory.open(known.with(zeros), CPU) }
        assertTrue("that the runtime can run is required" in error.sentence, error.sentence)
        assertFalse('\n' in error.sentence)
    }

    @Test
    fun `a closed segmenter refuses to run and closes again`() {
        val segmenter = factory.open(Nets.load(NET, "int8"), CPU)
        segmenter.close()
        segmenter.close()
        assertThrows<IllegalStateException> { segmenter.run() }
    }

    @Test
    fun `memory that ran out is about the file`() {
        val words = IllegalStateException("Internal error: Failed to allocate memory for tensors.")
        val error = explain(words, "a.tflite", CPU) as BadModel
        assertTrue(error.sentence.startsWith("a.tflite must fit"), error.sentence)
        val thrown =
            assertThrows<BadModel> { explained("a.tflite", CPU) { throw OutOfMemoryError() } }
        assertTrue(thrown.sentence.startsWith("a.tflite must fit"), thrown.sentence)
    }

    @Test
    fun `a custom op is named`() {
        val words = IllegalStateException("Encountered unresolved custom op: Blur.\nMore.")
        val error = explain(words, "a.tflite", CPU) as BadModel
        assertTrue("knows the custom op Blur" in error.sentence, error.sentence)
    }

    @Test
    fun `a delegate that refuses a file is no fault of the file`() {
        val words = IllegalArgumentException("Failed to apply delegate:\n Can not open OpenCL")
        val gpu = DelegateChoice(DelegateKind.GPU)
        val error = explain(words, "a.tflite", gpu) as DelegateUnavailable
        assertEquals(
            "gpu that can run a.tflite is required. Received: Failed to apply delegate: Can not " +
                "open OpenCL. Choose another delegate.",
            error.sentence,
        )
    }

    private fun LoadedVariant.with(data: ByteBuffer) =
        LoadedVariant(card, source, data, inputs, outputSizes, maskOutput, stateOutput, ops)
}
