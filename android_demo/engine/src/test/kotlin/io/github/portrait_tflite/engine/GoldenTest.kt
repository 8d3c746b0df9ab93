package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.measure.SelfTest
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.VariantCard
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Portrait
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.MethodSource

private const val LEAST_IOU = 0.99

/** The host's masks on the real interpreter, through core and engine. */
class GoldenTest {
    private val factory = DesktopRuntime.factory()

    @ParameterizedTest
    @MethodSource("nets")
    fun `golden inputs give the host's masks by model json's tolerance`(net: String) {
        val card = Nets.card(net)
        val rows =
            SelfTest(Nets.source(net), card, factory)
                .run(card.variants.keys.toList(), CPU_CHOICES)
        assertEquals(card.variants.size * CPU_CHOICES.size * card.golden.size, rows.size)
        for (row in rows) {
            assertEquals("", row.error, "$row")
            assertTrue(checkNotNull(row.iou) >= LEAST_IOU, "$row")
            // What ran under its own name is held to model.json; a fallback is named as one: the
            // desktop's XNNPACK takes floats only.
            val fallback = row.variant == "int8" && row.delegate == DelegateKind.XNNPACK
            assertEquals(fallback, "built-in kernels run" in row.unavailable, "$row")
            assertEquals(if (fallback) null else true, row.passed, "$row")
        }
    }

    @ParameterizedTest
    @MethodSource("variants")
    fun `pictures become the host's stored inputs and masks`(net: String, name: String) {
        val card = Nets.card(net)
        val variant = Nets.load(net, name)
        factory.open(variant, DelegateChoice(DelegateKind.CPU)).use { segmenter ->
            val portrait = Portrait(variant, segmenter)
            for (case in card.golden) {
                val run = case.runs.getValue(name)
                val mask = portrait.segment(Nets.picture(net, case.picture.file))
                variant.inputs.forEachIndexed { index, tensor ->
                    val golden = Nets.bytes(net, run.inputs.getValue(tensor.name).file)
                    // A state differs by as much as the mask before it does.
                    val steps = if (variant.card.spec.state == null) 1.0 else STATE_STEPS
                    assertNear(golden, segmenter.inputs[index], tensor.type, steps * step(variant))
                }
                assertTrue(overlap(mask.values, hostMask(variant, net, run.mask.file)) >= LEAST_IOU)
            }
        }
    }

    private fun hostMask(variant: LoadedVariant, net: String, file: String): FloatArray =
        realValues(variant.card, Nets.bytes(net, file))

    companion object {
        private const val STATE_STEPS = 12.0
        private val CPU_CHOICES =
            listOf(
                DelegateChoice(DelegateKind.CPU),
                DelegateChoice(DelegateKind.XNNPACK),
                DelegateChoice(DelegateKind.XNNPACK, threads = 2),
            )

        @JvmStatic
        fun nets(): List<String> = Nets.names

        @JvmStatic
        fun variants(): List<Array<String>> =
            Nets.names.flatMap { net -> Nets.card(net).variants.keys.map { arrayOf(net, it) } }
    }
}

/** The host's output as real values; its nets end in probabilities. */
private fun realValues(card: VariantCard, stored: ByteArray): FloatArray {
    val channels = card.output.shape.getOrElse(3) { 1 }
    val numbers = numbers(ByteBuffer.wrap(stored), card.output.type)
    return FloatArray(numbers.size / channels) {
        val number = numbers[it * channels + card.spec.output.channel]
        val scale = if (card.output.scale == 0f) 1f else card.output.scale
        ((number - card.output.zeroPoint) * scale).toFloat()
    }
}

private fun numbers(stored: ByteBuffer, type: ElementType): DoubleArray {
    val bytes = stored.duplicate().order(ByteOrder.LITTLE_ENDIAN)
    return DoubleArray(bytes.limit() / type.bytes) {
        when (type) {
            ElementType.INT8 -> bytes[it].toDouble()
            ElementType.UINT8 -> (bytes[it].toInt() and 0xff).toDouble()
            ElementType.FLOAT32 -> bytes.getFloat(4 * it).toDouble()
        }
    }
}

/** What a byte of a picture, one more or less, changes in the input. */
private fun step(variant: LoadedVariant): Double {
    if (variant.card.input.type != ElementType.FLOAT32) return 1.0
    val spec = variant.card.spec
    return 1.001 * (spec.high - spec.low) / 255 / (spec.std.minOrNull() ?: 1f)
}

private fun assertNear(golden: ByteArray, input: ByteBuffer, type: ElementType, most: Double) {
    val expected = numbers(ByteBuffer.wrap(golden), type)
    val received = numbers(input, type)
    assertEquals(expected.size, received.size)
    val worst = expected.indices.maxOf { abs(expected[it] - received[it]) }
    assertTrue(worst <= most, "differs by $worst, by $most at most is allowed")
}

private fun overlap(one: FloatArray, other: FloatArray): Double {
    val both = one.indices.count { one[it] >= 0.5f && other[it] >= 0.5f }
    val either = one.indices.count { one[it] >= 0.5f || other[it] >= 0.5f }
    return if (either == 0) 1.0 else both.toDouble() / either
}
