package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.GoldenRun
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.readFile
import java.nio.ByteBuffer

/**
 * Fills a variant's inputs with a golden case.
 *
 * @throws BadModel a file of the case is missing or another, or it is not for these inputs.
 */
internal fun fillGolden(
    variant: LoadedVariant,
    run: GoldenRun,
    inputs: List<ByteBuffer>,
) {
    variant.inputs.forEachIndexed { index, tensor ->
        val card = run.inputs[tensor.name]
        if (card == null || card.bytes != tensor.bytes.toLong()) {
            throw BadModel(
                "a golden input of ${tensor.bytes} bytes for ${tensor.name} is required. " +
                    "Received: ${card?.bytes ?: "none"}. Write the folder again with " +
                    "portrait-tflite convert --assets.",
            )
        }
        inputs[index].rewind()
        inputs[index].put(readFile(variant.source, card))
        inputs[index].rewind()
    }
}
