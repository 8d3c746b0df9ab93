package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.LoadedVariant
import java.nio.ByteBuffer
import java.util.Random

private const val SEED = 1L

/** Fills a variant's inputs with the same random picture each time. */
internal class Probe(private val variant: LoadedVariant) {
    /** Fills [inputs], one buffer per input of the file. */
    fun fill(inputs: List<ByteBuffer>) {
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

    /** Runs a segmenter once and returns the mask's bytes. */
    fun run(segmenter: Segmenter): ByteArray {
        fill(segmenter.inputs)
        segmenter.run()
        val output = segmenter.outputs[variant.maskOutput].duplicate()
        output.rewind()
        return ByteArray(output.remaining()).also(output::get)
    }

    private fun Random.byte(): Byte = nextInt().toByte()
}
