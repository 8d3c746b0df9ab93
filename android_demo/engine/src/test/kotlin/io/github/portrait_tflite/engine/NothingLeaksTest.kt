package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.run.DelegateChoice
import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter

private val CPU = DelegateChoice(DelegateKind.CPU)

/** Whichever step of opening fails, what was made before it is closed: real interpreters. */
class NothingLeaksTest {
    private val order = ArrayList<String>()
    private val made = ArrayList<Interpreter>()
    private val variant = Nets.load("rgb_stretch_int8", "int8")

    init {
        DesktopRuntime.factory()
    }

    @Test
    fun `a delegate is closed when no interpreter can be made`() {
        val zeros = ByteBuffer.allocateDirect(64).order(variant.data.order())
        assertThrows(BadModel::class.java) { factory().open(variant.with(data = zeros), CPU) }
        assertEquals(listOf("delegate"), order)
    }

    @Test
    fun `both are closed when the log cannot be read`() {
        val factory = factory(readLog = { throw IllegalStateException("no log") })
        assertThrows(BadModel::class.java) { factory.open(variant, CPU) }
        assertClosed()
    }

    @Test
    fun `both are closed when memory runs out, and the sentence says it`() {
        val factory = factory(readLog = { throw OutOfMemoryError("heap") })
        val error = assertThrows(BadModel::class.java) { factory.open(variant, CPU) }
        assertTrue("must fit into this device's memory" in error.sentence, error.sentence)
        assertClosed()
    }

    @Test
    fun `both are closed when there is no memory for the outputs`() {
        val huge = variant.with(outputSizes = listOf(Int.MAX_VALUE))
        val error = assertThrows(BadModel::class.java) { factory().open(huge, CPU) }
        assertTrue("must fit into this device's memory" in error.sentence, error.sentence)
        assertClosed()
    }

    private fun assertClosed() {
        assertEquals(listOf("delegate"), order)
        val interpreter = made.single()
        assertThrows(IllegalStateException::class.java) { interpreter.inputTensorCount }
    }

    private fun factory(readLog: () -> List<String> = { emptyList() }) =
        InterpreterFactory(
            readLog,
            setupOf = { DelegateSetup(Interpreter.Options(), delegate = Counted()) },
            interpreterOf = { data, options -> Interpreter(data, options).also { made += it } },
        )

    /** A delegate that was not handed to the interpreter; it is closed all the same. */
    private inner class Counted : Delegate, AutoCloseable {
        override fun getNativeHandle() = 0L

        override fun close() {
            order += "delegate"
        }
    }

    private fun LoadedVariant.with(
        data: ByteBuffer = this.data,
        outputSizes: List<Int> = this.outputSizes,
    ) = LoadedVariant(card, source, data, inputs, outputSizes, maskOutput, stateOutput, ops)
}
