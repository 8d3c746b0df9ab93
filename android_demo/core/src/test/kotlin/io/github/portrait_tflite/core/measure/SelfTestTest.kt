package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.FakeFactory
import io.github.portrait_tflite.core.FakeSegmenter
import io.github.portrait_tflite.core.TestModel
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.DelegateUnavailable
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.core.run.SegmenterFactory
import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir

private const val NET = "rgb_stretch_int8"
private val XNNPACK = DelegateChoice(DelegateKind.XNNPACK, threads = 2)
private val CPU = DelegateChoice(DelegateKind.CPU)

/** The self-test with networks that give the host's masks, nearly so, or nothing. */
class SelfTestTest {
    private val card = TestModel.card()

    @Test
    fun `the host's own masks pass`() {
        for (variant in listOf("int8", "float16")) {
            val rows = test(variant, XNNPACK) { fake -> play(fake, variant) }
            assertEquals(listOf(0, 1, 2), rows.map { it.golden })
            assertTrue(rows.all { it.passed == true && it.iou == 1.0 && it.maxStep == 0.0 })
        }
    }

    @Test
    fun `one step fails where none is allowed and passes by IoU`() {
        val off: (FakeSegmenter) -> Unit = { fake ->
            play(fake, "int8")
            val output = fake.outputs[0]
            output.put(0, (output[0] + if (output[0] < 0) 1 else -1).toByte())
        }
        assertTrue(test("int8", XNNPACK, off).all { it.passed == false && it.maxStep == 1.0 })
        assertTrue(test("int8", CPU, off).all { it.passed == true })
    }

    @Test
    fun `a mask of nobody fails by IoU`() {
        val rows = test("int8", CPU) { fake ->
            for (index in 0 until fake.outputs[0].limit()) fake.outputs[0].put(index, -128)
        }
        assertTrue(rows.all { it.passed == false && it.iou == 0.0 })
    }

    @Test
    fun `a mask that is no numbers fails and says so`() {
        val rows = test("float16", DelegateChoice(DelegateKind.GPU)) { fake ->
            fake.outputs[0].putFloat(0, Float.NaN)
        }
        assertTrue(rows.all { it.passed == false && it.maxStep == null })
        assertTrue(rows.all { "Received: NaN" in it.error })
    }

    @Test
    fun `a delegate that promises nothing neither passes nor fails`() {
        val rows = test("int8", DelegateChoice(DelegateKind.GPU)) { play(it, "int8") }
        assertTrue(rows.all { it.passed == null && it.iou == 1.0 })
    }

    @Test
    fun `a fallback does not pass for what was asked`() {
        val factory =
            FakeFactory(runningOf = { Running(it, CPU, null, 9, 9, "took none") }) { _, fake ->
                play(fake, "int8")
            }
        val rows = SelfTest(TestModel.source(), card, factory).run(listOf("int8"), listOf(XNNPACK))
        assertTrue(rows.all { it.passed == null && it.unavailable == "took none" })
    }

    @Test
    fun `what fails is a row, and the others go on`() {
        val factory =
            SegmenterFactory { variant, choice ->
                if (choice == XNNPACK) throw DelegateUnavailable("not here")
                FakeFactory { _, fake -> play(fake, "int8") }.open(variant, choice)
            }
        val seen = ArrayList<SelfTestRow>()
        SelfTest(TestModel.source(), card, factory)
            .run(listOf("int4", "int8"), listOf(XNNPACK, CPU), seen::add)
        assertEquals(listOf(false, false, null, true, true, true), seen.map { it.passed })
        assertTrue("Received: int4." in seen[0].error, seen[0].error)
        assertEquals("not here", seen[2].unavailable)
        assertNull(seen[2].golden)
    }

    @Test
    fun `an interrupted thread ends the test and closes the network`() {
        val factory = FakeFactory { _, _ -> Thread.currentThread().interrupt() }
        val test = SelfTest(TestModel.source(), card, factory)
        assertThrows<InterruptedException> { test.run(listOf("int8"), listOf(CPU, XNNPACK)) }
        assertEquals(listOf(1), factory.opened.map { it.closes })
    }

    @Test
    fun `what an interrupt broke is no row`() {
        val broken =
            SegmenterFactory { _, _ ->
                Thread.currentThread().interrupt()
                throw DelegateUnavailable("the channel was closed")
            }
        val rows = ArrayList<SelfTestRow>()
        assertThrows<InterruptedException> {
            SelfTest(TestModel.source(), card, broken).run(listOf("int8"), listOf(CPU), rows::add)
        }
        assertEquals(emptyList<SelfTestRow>(), rows)
    }

    @Test
    fun `golden files that are missing or others are named`(@TempDir folder: File) {
        TestModel.folder(NET).copyRecursively(folder, overwrite = true)
        File(folder, card.golden[0].runs.getValue("int8").mask.file).delete()
        val source = FolderSource(folder)
        val row = SelfTest(source, card, FakeFactory()).run(listOf("int8"), listOf(CPU)).single()
        assertTrue("-int8-mask.bin must be in" in row.error, row.error)
        val none = card.copy(golden = emptyList())
        val empty = SelfTest(source, none, FakeFactory()).run(listOf("int8"), listOf(CPU)).single()
        assertTrue("golden inputs of int8 are required" in empty.error, empty.error)
        val other = card.copy(golden = swapped(card))
        val rows = SelfTest(source, other, FakeFactory()).run(listOf("int8"), listOf(CPU))
        assertTrue("a golden input of 5760 bytes for image" in rows.single().error)
    }

    @Test
    fun `a mask of another size is named`() {
        val case = card.golden[0]
        val run = case.runs.getValue("int8")
        val wrong = case.copy(runs = mapOf("int8" to run.copy(mask = case.picture)))
        val row =
            SelfTest(TestModel.source(), card.copy(golden = listOf(wrong)), FakeFactory())
                .run(listOf("int8"), listOf(CPU)).single()
        assertTrue("a golden mask of 1920 bytes is required" in row.error, row.error)
    }

    @Test
    fun `memory that runs out is a row`() {
        val factory = SegmenterFactory { _, _ -> throw OutOfMemoryError("Java heap space") }
        val test = SelfTest(TestModel.source(), card, factory)
        val row = test.run(listOf("int8"), listOf(CPU)).single()
        assertTrue("memory ran out (Java heap space)" in row.error, row.error)
    }

    /** Float inputs in place of int8 ones. */
    private fun swapped(card: ModelCard) =
        card.golden.map { it.copy(runs = mapOf("int8" to it.runs.getValue("float16"))) }

    private fun test(
        variant: String,
        choice: DelegateChoice,
        compute: (FakeSegmenter) -> Unit,
    ): List<SelfTestRow> =
        SelfTest(TestModel.source(), card, FakeFactory { _, fake -> compute(fake) })
            .run(listOf(variant), listOf(choice))

    /** Answers a golden input with its golden mask. */
    private fun play(fake: FakeSegmenter, variant: String) {
        val given = ByteArray(fake.inputs[0].limit()) { fake.inputs[0][it] }
        val runs = card.golden.map { it.runs.getValue(variant) }
        val run = runs.first { bytes(it.inputs.getValue("image").file).contentEquals(given) }
        fake.outputs[0].rewind()
        fake.outputs[0].put(bytes(run.mask.file))
        fake.outputs[0].rewind()
    }

    private fun bytes(file: String) = File(TestModel.folder(NET), file).readBytes()
}
