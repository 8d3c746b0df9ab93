package io.github.portrait_tflite.core.model

/** What a number of a tensor is stored as; [bytes] is its size. */
enum class ElementType(val bytes: Int, val lowest: Int, val highest: Int) {
    INT8(1, Byte.MIN_VALUE.toInt(), Byte.MAX_VALUE.toInt()),
    UINT8(1, 0, 255),
    FLOAT32(4, 0, 0),
    ;

    /** As model.json writes it. */
    val json: String get() = name.lowercase()
}

/**
 * An input or output of a file.
 *
 * @property shape with the batch: `[1, height, width, channels]`.
 * @property scale 0 where it is not quantized.
 */
data class TensorCard(
    val name: String,
    val shape: List<Int>,
    val type: ElementType,
    val scale: Float,
    val zeroPoint: Int,
) {
    /** Numbers in it. */
    val elements: Int get() = shape.fold(1) { product, side -> product * side }

    /** Its size in memory, in bytes. */
    val bytes: Int get() = elements * type.bytes

    /** As sentences name it: `int8 [1, 256, 256, 3]`. */
    override fun toString(): String = "${type.json} $shape"
}
