package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.FakeFactory
import io.github.portrait_tflite.core.FakeSegmenter
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.FileCard
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.core.model.readFile
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
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
    fun `a mask that is the same everywhere proves nothing, and is not called GPU`() {
        val inner = FakeFactory(runningOf = { Running(it, it, 1, 1, 9, remark = "less precise") })
        val running = CheckedFactory(inner).open(variant, GPU).use { it.running }
        assertNotEquals(DelegateKind.GPU, running.actual.kind)
        assertTrue("does not show that the GPU ran" in running.fallback, running.fallback)
        assertEquals("", running.remark)
    }

    @Test
    fun `it is tried on a golden picture, on noise where none is whole`() {
        val golden = checkNotNull(variant.card.golden).inputs.getValue(variant.card.input.name)
        assertEquals(
            TestModel.card().golden[0].runs.getValue("int8").inputs.values.single(),
            golden,
        )
        val expected = readFile(TestModel.source(), golden)
        val pictures = ArrayList<ByteBuffer>()
        val inner =
            FakeFactory { _, fake ->
                pictures += copy(fake.inputs[variant.pictureInput])
            }
        CheckedFactory(inner).open(variant, GPU).close()
        assertEquals(List(2) { expected }, pictures) // The first CPU path has the same bytes.
        pictures.clear()
        CheckedFactory(inner).open(TestModel.load().without(golden), GPU).close()
        assertEquals(1, pictures.distinct().size)
        assertNotEquals(expected, pictures[0])
        assertTrue((0 until pictures[0].limit()).map { pictures[0][it] }.distinct().size > 100)
    }

    private fun copy(buffer: ByteBuffer): ByteBuffer {
        val bytes = ByteArray(buffer.limit()) { buffer[it] }
        return ByteBuffer.wrap(bytes)
    }

    /** The same variant in a folder that lacks a file. */
    private fun LoadedVariant.without(file: FileCard): LoadedVariant {
        val whole = source
        val half =
            object : ModelSource by whole {
                override fun open(name: String): InputStream =
                    if (name == file.file) throw IOException("not there") else whole.open(name)
            }
        return LoadedVariant(
            card,
            half,
            data,
            inputs,
            outputSizes,
            maskOutput,
            stateOutput,
            ops,
        )
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
        fake.outputs[0].put(0, (value + 1).toByte())
    }
}
