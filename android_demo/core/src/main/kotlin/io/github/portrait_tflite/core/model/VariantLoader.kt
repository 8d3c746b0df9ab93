package io.github.portrait_tflite.core.model

import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

private const val CHUNK = 1 shl 16
private const val COPY_AGAIN = "Copy the whole folder that portrait-tflite convert --assets wrote."

/** Reads and checks a variant's file; see [LoadedVariant.load]. */
internal fun loadVariant(source: ModelSource, card: VariantCard): LoadedVariant {
    val data = mapFile(source, card.file) ?: readFile(source, card.file)
    val file = readTflite(data, card.file.file)
    val inputs = listOfNotNull(card.input, card.stateInput)
    val outputs = listOfNotNull(card.output, card.stateOutput)
    requireTensors(card, "input", inputs, file.inputs)
    requireTensors(card, "output", outputs, file.outputs)
    if (file.inputs.size != inputs.size) throw otherInputs(card, file)
    return LoadedVariant(
        card,
        source,
        data,
        inputs = file.inputs.map { one -> inputs.first { it.name == one.name } },
        outputSizes = file.outputs.map { it.bytes() },
        maskOutput = file.outputs.indexOfFirst { it.name == card.output.name },
        stateOutput =
        card.stateOutput?.let { state -> file.outputs.indexOfFirst { it.name == state.name } },
        ops = file.ops,
    )
}

/** Maps a file where its source can, and checks it as [readFile] does; null where it cannot. */
private fun mapFile(source: ModelSource, card: FileCard): ByteBuffer? {
    val data = found(source, card) { source.map(card.file) } ?: return null
    val digest = MessageDigest.getInstance("SHA-256").apply { update(data.duplicate()) }
    if (data.remaining().toLong() != card.bytes || hex(digest) != card.sha256) throw otherFile(card)
    return data.order(ByteOrder.nativeOrder())
}

/**
 * Reads a file that model.json names, into direct memory.
 *
 * @throws BadModel it is missing, of another size or hash, or memory does not hold it.
 */
internal fun readFile(source: ModelSource, card: FileCard): ByteBuffer {
    val data = allocate(card)
    val digest = found(source, card) { source.open(card.file).use { fill(data, it) } }
    if (digest != card.sha256) throw otherFile(card)
    data.rewind()
    return data
}

private inline fun <T> found(source: ModelSource, card: FileCard, read: () -> T): T =
    try {
        read()
    } catch (error: IOException) {
        throw BadModel(
            "${card.file} must be in ${source.place}. Received: ${error.reason()}. $COPY_AGAIN",
            error,
        )
    }

private fun allocate(card: FileCard): ByteBuffer {
    if (card.bytes !in 1..Int.MAX_VALUE) throw tooBig(card)
    return try {
        ByteBuffer.allocateDirect(card.bytes.toInt()).order(ByteOrder.nativeOrder())
    } catch (_: OutOfMemoryError) {
        throw tooBig(card)
    }
}

/** Fills [data] and returns the SHA-256 of the stream; "" where the stream is of another size. */
private fun fill(data: ByteBuffer, stream: InputStream): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val chunk = ByteArray(CHUNK)
    while (true) {
        val count = stream.read(chunk)
        if (count < 0) break
        if (count > data.remaining()) return ""
        data.put(chunk, 0, count)
        digest.update(chunk, 0, count)
    }
    if (data.hasRemaining()) return ""
    return hex(digest)
}

private fun hex(digest: MessageDigest): String =
    digest.digest().joinToString("") { "%02x".format(it) }

private fun tooBig(card: FileCard): BadModel =
    BadModel(
        "${card.file} must fit into this device's memory. Received: ${card.bytes} bytes. " +
            "Choose a smaller variant or model.",
    )

private fun otherFile(card: FileCard): BadModel =
    BadModel(
        "${card.file} must have ${card.bytes} bytes and the SHA-256 that ${ModelCard.FILE} says. " +
            "Received: another or half a file. $COPY_AGAIN",
    )

private fun requireTensors(
    card: VariantCard,
    end: String,
    required: List<TensorCard>,
    received: List<FileTensor>,
) {
    for (tensor in required) {
        val found = received.firstOrNull { it.name == tensor.name }
        if (found != null && found.matches(tensor)) continue
        throw BadModel(
            "${card.file.file} must have the $end ${tensor.name}, $tensor, as ${ModelCard.FILE} " +
                "says. Received: ${found ?: received.joinToString { it.name }}. $COPY_AGAIN",
        )
    }
}

private fun FileTensor.matches(card: TensorCard): Boolean =
    shape == card.shape && dtype == card.type.json && sameValues(card)

/** A float tensor's scale is of no account. */
private fun FileTensor.sameValues(card: TensorCard): Boolean =
    card.type == ElementType.FLOAT32 ||
        (scale == card.scale && zeroPoint == card.zeroPoint.toLong())

private fun otherInputs(card: VariantCard, file: TfliteFile): BadModel =
    BadModel(
        "${card.file.file} must have the inputs of ${ModelCard.FILE} and no others. Received: " +
            "${file.inputs.joinToString { it.name }}. $COPY_AGAIN",
    )
