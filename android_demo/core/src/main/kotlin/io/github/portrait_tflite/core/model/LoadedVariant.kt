package io.github.portrait_tflite.core.model

import java.nio.ByteBuffer

/**
 * A variant whose file was read and found to be what model.json says.
 *
 * @property source where its folder's other files are.
 * @property data the `.tflite`, mapped or in direct memory, in the machine's byte order.
 * @property inputs of the file, in its order.
 * @property outputSizes bytes of each output of the file, in its order.
 * @property maskOutput which of the outputs is the mask.
 * @property stateOutput which of the outputs the next picture is fed with; null where that is the
 *   mask, or nothing.
 * @property ops of the file.
 */
class LoadedVariant(
    val card: VariantCard,
    val source: ModelSource,
    val data: ByteBuffer,
    val inputs: List<TensorCard>,
    val outputSizes: List<Int>,
    val maskOutput: Int,
    val stateOutput: Int? = null,
    val ops: Int,
) {
    /** Which of [inputs] takes the picture. */
    val pictureInput: Int = inputs.indexOfFirst { it.name == card.input.name }

    /** Which of [inputs] takes the previous mask; null where none does. */
    val stateInput: Int? =
        card.stateInput?.let { state -> inputs.indexOfFirst { it.name == state.name } }

    companion object {
        /**
         * Reads the file of [card] and checks its size, hash and tensors.
         *
         * @throws BadModel it is missing, cut short, of another hash, no `.tflite`, or its tensors
         *   are not those of model.json; or memory does not hold it.
         */
        fun load(source: ModelSource, card: VariantCard): LoadedVariant = loadVariant(source, card)
    }
}
