package io.github.portrait_tflite.core.model

import io.github.portrait_tflite.core.TestModel
import java.io.ByteArrayInputStream
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** Files that are what model.json says, and files that are not. */
class LoadedVariantTest {
    private val card = TestModel.card().variant("int8")

    @Test
    fun `inputs and outputs are found by their names`() {
        val variant = TestModel.load("previous_mask_int8")
        assertEquals(2, variant.inputs.size)
        assertEquals("image", variant.inputs[variant.pictureInput].name)
        assertEquals(variant.card.stateInput, variant.inputs[checkNotNull(variant.stateInput)])
        assertNull(variant.stateOutput)
        assertEquals(listOf(48 * 40), variant.outputSizes)
        assertTrue(variant.ops > 1)
    }

    @Test
    fun `every variant of every test net loads`() {
        for (net in checkNotNull(TestModel.folder(".").list())) {
            for (name in TestModel.card(net).variants.keys) TestModel.load(net, name)
        }
    }

    @Test
    fun `half a file is refused`() {
        val half = bytes().let { it.copyOf(it.size / 2) }
        refused("another or half a file", card, source(half))
    }

    @Test
    fun `too long a file is refused`() {
        refused("another or half a file", card, source(bytes() + 0))
    }

    @Test
    fun `a file of another hash is refused`() {
        val other = bytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() }
        refused("another or half a file", card, source(other))
    }

    @Test
    fun `a file that cannot be read is refused`() {
        val source =
            object : ModelSource {
                override val place = "the app's assets"

                override fun open(name: String) = throw IOException("no such file")
            }
        refused("must be in the app's assets. Received: no such file.", card, source)
    }

    @Test
    fun `a file that memory cannot hold is refused`() {
        val huge = card.copy(file = card.file.copy(bytes = 1L shl 40))
        refused("must fit into this device's memory. Received: 1099511627776 bytes.", huge)
        val large = card.copy(file = card.file.copy(bytes = Int.MAX_VALUE.toLong()))
        refused("must fit into this device's memory", large)
        refused("must fit", card.copy(file = card.file.copy(bytes = 0)))
    }

    @Test
    fun `what is no tflite is refused`() {
        val text = ByteArray(64) { 'a'.code.toByte() }
        refused("must be a .tflite. Received: other bytes.", named(text), source(text))
        val short = ByteArray(3)
        refused("must be a .tflite. Received: a damaged one", named(short), source(short))
        val torn = bytes().let { it.copyOf(it.size / 100) }
        refused("must be a .tflite. Received: a damaged one", named(torn), source(torn))
    }

    @Test
    fun `tensors that are not those of model json are refused`() {
        refused(
            "must have the input image, int8 [1, 8, 8, 3], as model.json says. " +
                "Received: int8 [1, 48, 40, 3].",
            card.copy(input = card.input.copy(shape = listOf(1, 8, 8, 3))),
        )
        refused("Received: int8 [1", card.copy(input = card.input.copy(type = ElementType.UINT8)))
        refused("the output mask", card.copy(output = card.output.copy(scale = 1f)))
        refused("the output mask", card.copy(output = card.output.copy(zeroPoint = 3)))
        refused("Received: mask.", card.copy(output = card.output.copy(name = "matte")))
        val two = TestModel.card("previous_mask_int8").variant("int8").copy(stateInput = null)
        refused("and no others", two, TestModel.source("previous_mask_int8"))
    }

    @Test
    fun `a vector that claims more than the file is damaged`() {
        val claims = ByteBuffer.wrap(bytes()).order(ByteOrder.LITTLE_ENDIAN)
        val model = claims.getInt(0)
        val layout = model - claims.getInt(model)
        val codes = model + claims.getShort(layout + 4 + 2 * 2)
        claims.putInt(codes + claims.getInt(codes), Int.MAX_VALUE)
        val bytes = claims.array()
        refused("a damaged one (${Int.MAX_VALUE} items)", named(bytes), source(bytes))
    }

    @Test
    fun `a file that can be mapped is not copied`() {
        val mapped = mapped(bytes())
        val variant = LoadedVariant.load(mapping { mapped }, card)
        mapped.put(4, 'X'.code.toByte())
        assertEquals('X'.code.toByte(), variant.data[4])
        assertEquals(ByteOrder.nativeOrder(), variant.data.order())
        assertEquals(bytes().size, variant.data.remaining())
    }

    @Test
    fun `a mapped file is checked as one that is read`() {
        val half = bytes().let { it.copyOf(it.size / 2) }
        refused("another or half a file", card, mapping { mapped(half) })
        val other = bytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() }
        refused("another or half a file", card, mapping { mapped(other) })
        refused("Received: it is gone.", card, mapping { throw IOException("it is gone") })
    }

    private fun mapped(bytes: ByteArray) =
        ByteBuffer.allocateDirect(bytes.size).put(bytes).apply { rewind() }

    private fun mapping(map: () -> ByteBuffer) =
        object : ModelSource {
            override val place = "a test"

            override fun open(name: String) = throw IOException("nobody reads what is mapped")

            override fun map(name: String) = map()
        }

    private fun refused(
        sentence: String,
        card: VariantCard,
        source: ModelSource = TestModel.source(),
    ) {
        val error = assertThrows<BadModel> { LoadedVariant.load(source, card) }
        assertTrue(sentence in error.sentence, error.sentence)
        assertTrue(error.sentence.endsWith("."), error.sentence)
    }

    private fun bytes() = TestModel.folder("rgb_stretch_int8").resolve(card.file.file).readBytes()

    /** The card of other bytes under the same name. */
    private fun named(bytes: ByteArray): VariantCard {
        val digest = MessageDigest.getInstance("SHA-256").digest(bytes)
        val sha256 = digest.joinToString("") { "%02x".format(it) }
        return card.copy(file = card.file.copy(bytes = bytes.size.toLong(), sha256 = sha256))
    }

    private fun source(bytes: ByteArray) =
        object : ModelSource {
            override val place = "a test"

            override fun open(name: String) = ByteArrayInputStream(bytes)
        }
}
