package io.github.portrait_tflite.core.model

import io.github.portrait_tflite.core.TestModel
import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource
import org.junit.jupiter.params.provider.MethodSource

/** model.json as --assets writes it, and every way in which it may be wrong. */
class ModelCardTest {
    @Test
    fun `all that the app needs is read`() {
        val card = TestModel.card("gray_letterbox_uint8")
        assertEquals(setOf("float16", "int8"), card.variants.keys)
        assertEquals(listOf("person"), card.labels)
        assertEquals(3, card.golden.size)
        val int8 = card.variant("int8")
        assertEquals(ElementType.UINT8, int8.input.type)
        assertEquals(Fit.LETTERBOX, int8.spec.fit)
        assertEquals(Channels.GRAY, int8.spec.channels)
        assertEquals(Tolerance(maxStep = 0, leastIou = null), int8.tolerance[DelegateKind.XNNPACK])
        assertNull(int8.tolerance[DelegateKind.GPU])
        assertEquals(DelegateKind.GPU, card.variant("float16").recommended)
        assertEquals(setOf("image"), card.golden[0].runs.getValue("int8").inputs.keys)
    }

    @Test
    fun `a network for video names its state`() {
        val own = TestModel.card("previous_mask_int8").variant("int8")
        assertEquals(listOf(1, 48, 40, 1), own.stateInput?.shape)
        assertNull(own.stateOutput)
        val state = StateSpec(input = 1, channel = null, initial = 0f, fromOutput = 0)
        assertEquals(state, own.spec.state)
        val beside = TestModel.card("previous_mask_channel_uint8").variant("int8")
        assertNull(beside.stateInput)
        assertEquals(4, beside.spec.depth)
    }

    @Test
    fun `one mean for all colours is repeated`() {
        val text = TestModel.text().replaceFirst(Regex(""""mean": \[]"""), """"mean": [0.5]""")
        assertEquals(listOf(0.5f, 0.5f, 0.5f), ModelCard.parse(text).variant("int8").spec.mean)
    }

    @Test
    fun `a variant's own spec goes before the model's`() {
        val text = TestModel.text()
        val spec = text.substring(text.indexOf(""""spec": {"""), text.indexOf(""""labels":"""))
        val own = spec.replace("bilinear", "nearest")
        val first = """"recommended_delegate":"""
        val card = ModelCard.parse(text.replaceFirst(first, "$own $first"))
        assertEquals(
            setOf(Interpolation.NEAREST, Interpolation.BILINEAR),
            card.variants.values.map { it.spec.interpolation }.toSet(),
        )
    }

    @ParameterizedTest(name = "{1}")
    @MethodSource("wrong")
    fun `what is wrong is said in a sentence`(good: String, bad: String, sentence: String) {
        val text = TestModel.text()
        assertTrue(good in text, "the test must find $good")
        val error = assertThrows<BadModel> { ModelCard.parse(text.replace(good, bad)) }
        assertTrue(sentence in error.sentence, error.sentence)
        assertTrue("model.json" in error.sentence, error.sentence)
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = ["{ | Unexpected JSON", "[] | no object", "'' | Received"])
    fun `what is no JSON object is refused`(text: String, reason: String) {
        val error = assertThrows<BadModel> { ModelCard.parse(text) }
        assertTrue(error.sentence.startsWith("model.json must be a JSON object"), error.sentence)
        assertTrue(reason in error.sentence, error.sentence)
    }

    @Test
    fun `a state that the tensors do not have is refused`() {
        val gone = TestModel.text("previous_mask_int8").replace("\"state_input\"", "\"was\"")
        val error = assertThrows<BadModel> { ModelCard.parse(gone) }
        assertTrue("state_input must be there as the spec says" in error.sentence, error.sentence)
        val other =
            TestModel.text("previous_mask_int8").replace("\"from_output\": 0", "\"from_output\": 1")
        val refused = assertThrows<BadModel> { ModelCard.parse(other) }
        assertTrue("state_output must be there" in refused.sentence, refused.sentence)
    }

    @Test
    fun `a folder without model json says where it was looked for`(@TempDir folder: File) {
        val error = assertThrows<BadModel> { ModelCard.read(FolderSource(folder)) }
        assertTrue(error.sentence.startsWith("model.json must be in $folder."), error.sentence)
    }

    @Test
    fun `a variant that is not there lists those that are`() {
        val error = assertThrows<BadModel> { TestModel.card().variant("int4") }
        assertEquals(
            "a variant of rgb_stretch_int8 is required: float16, int8. Received: int4.",
            error.sentence,
        )
    }

    companion object {
        @JvmStatic
        fun wrong(): List<Array<String>> = WRONG.map { (good, bad, said) ->
            arrayOf(good, bad, said)
        }
    }
}
