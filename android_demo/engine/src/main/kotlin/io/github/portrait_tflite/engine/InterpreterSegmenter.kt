package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.core.run.Segmenter
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** A network in a TFLite interpreter. Its buffers are made once and used for every frame. */
internal class InterpreterSegmenter(
    private val variant: LoadedVariant,
    private val interpreter: Interpreter,
    private val setup: DelegateSetup,
    override val running: Running,
    override val initMs: Double,
) : Segmenter {
    override val inputs: List<ByteBuffer> = variant.inputs.map { direct(it.bytes) }
    override val outputs: List<ByteBuffer> = variant.outputSizes.map(::direct)

    private val given: Array<Any> = inputs.toTypedArray()
    private val wanted: Map<Int, Any> = outputs.indices.associateWith { outputs[it] }
    private var closed = false

    override fun run() {
        check(!closed) { "a segmenter that is open is required. Received: a closed one." }
        // The runtime reads and writes from where a buffer stands.
        inputs.forEach { it.rewind() }
        outputs.forEach { it.rewind() }
        explained(variant.card.file.file, running.asked) {
            interpreter.runForMultipleInputsOutputs(given, wanted)
        }
        outputs.forEach { it.rewind() }
    }

    override fun close() {
        if (closed) return
        closed = true
        interpreter.close()
        setup.close()
    }

    private fun direct(bytes: Int): ByteBuffer =
        ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
}
