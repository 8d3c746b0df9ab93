package io.github.portrait_tflite.core.model

import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val IDENTIFIER = "TFL3"
private const val IDENTIFIER_AT = 4

/**
 * What a `.tflite` says of itself, read straight from its flatbuffer (TFLite's schema version 3).
 *
 * @property inputs of the main graph, in its order.
 * @property outputs of the main graph, in its order.
 * @property ops of the main graph.
 */
internal class TfliteFile(
    val inputs: List<FileTensor>,
    val outputs: List<FileTensor>,
    val ops: Int,
)

/**
 * A tensor of a file.
 *
 * @property dtype as model.json would write it; "other" where that is unknown.
 * @property itemBytes size of a number.
 */
internal data class FileTensor(
    val name: String,
    val shape: List<Int>,
    val dtype: String,
    val scale: Float,
    val zeroPoint: Long,
    val itemBytes: Int,
) {
    /** Its size in memory. */
    fun bytes(): Int = shape.fold(itemBytes) { product, side -> product * side }

    override fun toString(): String = "$dtype $shape"
}

/**
 * Reads a file's main graph.
 *
 * @throws BadModel it is no `.tflite`, or damaged.
 */
internal fun readTflite(data: ByteBuffer, name: String): TfliteFile =
    try {
        val bytes = data.duplicate().order(ByteOrder.LITTLE_ENDIAN)
        val found = ByteArray(IDENTIFIER.length) { bytes[IDENTIFIER_AT + it] }
        if (!found.contentEquals(IDENTIFIER.toByteArray())) throw notTflite(name, "other bytes")
        readGraph(Table.root(bytes))
    } catch (error: IndexOutOfBoundsException) {
        throw notTflite(name, "a damaged one (${error.message})", error)
    }

private fun notTflite(name: String, received: String, cause: Throwable? = null): BadModel =
    BadModel("$name must be a .tflite. Received: $received. Convert the model again.", cause)

// Numbers below are the fields' places in the tables of TFLite's schema.fbs.

private fun readGraph(model: Table): TfliteFile {
    val graph = model.tables(field = 2).first()
    val tensors = graph.tables(field = 0)
    return TfliteFile(
        inputs = graph.ints(field = 1).map { readFileTensor(tensors[it]) },
        outputs = graph.ints(field = 2).map { readFileTensor(tensors[it]) },
        ops = graph.tables(field = 3).size,
    )
}

private fun readFileTensor(tensor: Table): FileTensor {
    val quantization = tensor.inner(field = 4)
    return FileTensor(
        name = tensor.text(field = 3),
        shape = tensor.ints(field = 0),
        dtype = DTYPES[tensor.byte(field = 1)] ?: "other",
        itemBytes = ITEM_BYTES[tensor.byte(field = 1)] ?: 1,
        scale = quantization?.floats(field = 2)?.firstOrNull() ?: 0f,
        zeroPoint = quantization?.longs(field = 3)?.firstOrNull() ?: 0,
    )
}

private val DTYPES = mapOf(0 to "float32", 3 to "uint8", 9 to "int8")

/** Other outputs than the mask may be of any type; the runtime wants memory for them, too. */
private val ITEM_BYTES = mapOf(0 to 4, 1 to 2, 2 to 4, 4 to 8, 7 to 2)
