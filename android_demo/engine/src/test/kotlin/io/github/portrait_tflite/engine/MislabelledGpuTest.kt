package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.CheckedFactory
import io.github.portrait_tflite.core.run.DelegateChoice
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** A "GPU" whose bytes are the CPU's is the CPU, with the real interpreter. */
class MislabelledGpuTest {
    @Test
    fun `a GPU with the CPU's bytes is not called GPU`() {
        DesktopRuntime.factory()
        val pretending = InterpreterFactory(readLog = { emptyList() }, setupOf = ::pretend)
        val asked = DelegateChoice(DelegateKind.GPU)
        CheckedFactory(pretending).open(Nets.load("rgb_stretch_int8", "float16"), asked).use {
            assertEquals(asked, it.running.asked)
            assertTrue(it.running.actual.kind != DelegateKind.GPU)
            assertTrue("bit-identical" in it.running.fallback, it.running.fallback)
        }
    }

    /** XNNPACK under the GPU's name. */
    private fun pretend(choice: DelegateChoice): DelegateSetup {
        val kind = choice.kind.takeIf { it != DelegateKind.GPU } ?: DelegateKind.XNNPACK
        return setupFor(DelegateChoice(kind))
    }
}
