package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.mask.MaskReader
import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.LoadedVariant
import java.nio.ByteBuffer
import java.util.Random

private const val SEED = 1L
private const val NANOS_PER_MS = 1e6

/**
 * Fills a variant's inputs with the same picture each time: a golden one, in which there is a
 * person, or noise where the folder has none that is whole.
 *
 * @param nanoTime a clock that only goes forwards.
 */
internal class Probe(
    private val variant: LoadedVariant,
    private val nanoTime: () -> Long = System::nanoTime,
) {
    private val reader = MaskReader(variant.card)

    /** Fills [inputs], one buffer per input of the file. */
    fun fill(inputs: List<ByteBuffer>) {
        val golden = variant.card.golden ?: return fillWithNoise(inputs)
        try {
            fillGolden(variant, golden, inputs)
        } catch (_: BadModel) {
            fillWithNoise(inputs) // The self-test says what is wrong with the golden files.
        }
    }

    private fun fillWithNoise(inputs: List<ByteBuffer>) {
        val random = Random(SEED)
        inputs.forEachIndexed { index, buffer ->
            buffer.rewind()
            val float = variant.inputs[index].type == ElementType.FLOAT32
            while (buffer.hasRemaining()) {
                if (float) buffer.putFloat(random.nextFloat()) else buffer.put(random.byte())
            }
            buffer.rewind()
        }
    }

    /** Runs a segmenter once. */
    fun run(segmenter: Segmenter): Answer {
        fill(segmenter.inputs)
        val start = nanoTime()
        segmenter.run()
        val tookMs = (nanoTime() - start) / NANOS_PER_MS
        val output = segmenter.outputs[variant.maskOutput].duplicate()
        output.rewind()
        val bytes = ByteArray(output.remaining()).also(output::get)
        val mask = reader.read(segmenter.outputs[variant.maskOutput]).values
        return Answer(bytes, tookMs, isConstant = mask.all { it == mask[0] })
    }

    private fun Random.byte(): Byte = nextInt().toByte()

    /**
     * What a network made of the probe.
     *
     * @property isConstant whether the mask is the same everywhere.
     */
    class Answer(val bytes: ByteArray, val tookMs: Double, val isConstant: Boolean)
}
