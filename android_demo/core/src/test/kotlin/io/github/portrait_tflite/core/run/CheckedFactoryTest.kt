package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.FakeFactory
import io.github.portrait_tflite.core.FakeSegmenter
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.model.DelegateKind
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

private val GPU = DelegateChoice(DelegateKind.GPU)

/** GPU is said only where the bytes are not the CPU's. */
class CheckedFactoryTest {
    private val variant = TestModel.load()

    @Test
    fun `a GPU that computes is called GPU`() {
        val inner = FakeFactory { choice, fake -> answer(fake, choice.kind.ordinal) }
        CheckedFactory(inner).open(variant, GPU).use {
            assertEquals(GPU, it.running.actual)
            assertEquals("", it.running.fallback)
        }
        assertEquals(listOf(1, 1, 1), inner.opened.map { it.closes })
    }

    @Test
    fun `the CPU's very bytes are the CPU's`() {
        val inner =
            FakeFactory { choice, fake ->
                answer(fake, if (choice == GPU) DelegateKind.CPU.ordinal else choice.kind.ordinal)
            }
        val running = CheckedFactory(inner).open(variant, GPU).use { it.running }
        assertEquals(DelegateKind.CPU, running.actual.kind)
        assertEquals(
            "its output is bit-identical to that of cpu: the GPU did not run",
            running.fallback,
        )
        assertTrue(inner.opened.all { it.closes == 1 })
    }

    @Test
    fun `other delegates are handed out as they are`() {
        val inner = FakeFactory()
        CheckedFactory(inner).open(variant, DelegateChoice(DelegateKind.XNNPACK, 4)).close()
        assertEquals(listOf(0), inner.opened.map { it.runs })
    }

    @Test
    fun `a GPU that fails on the probe is closed`() {
        val inner = FakeFactory { _, _ -> throw DelegateUnavailable("gone") }
        assertThrows<DelegateUnavailable> { CheckedFactory(inner).open(variant, GPU) }
        assertEquals(1, inner.opened.single().closes)
    }

    @Test
    fun `a CPU path that cannot run it proves nothing`() {
        val gpu = FakeFactory()
        val only =
            SegmenterFactory { loaded, choice ->
                if (choice != GPU) throw DelegateUnavailable("no such path")
                gpu.open(loaded, choice)
            }
        assertEquals(GPU, CheckedFactory(only).open(variant, GPU).use { it.running.actual })
    }

    @Test
    fun `choices are shown in words`() {
        assertEquals("gpu", GPU.toString())
        assertEquals("xnnpack, 4 threads", DelegateChoice(DelegateKind.XNNPACK, 4).toString())
        assertEquals("cpu, 1 thread", DelegateChoice(DelegateKind.CPU).toString())
        assertThrows<IllegalArgumentException> { DelegateChoice(DelegateKind.CPU, 0) }
        assertEquals(DelegateKind.GPU, DelegateKind.of("gpu"))
    }

    private fun answer(fake: FakeSegmenter, value: Int) {
        fake.outputs[0].put(0, value.toByte())
    }
}
