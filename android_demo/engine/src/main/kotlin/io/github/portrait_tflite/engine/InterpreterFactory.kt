package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import java.nio.ByteBuffer
import org.tensorflow.lite.Interpreter

private const val NANOS_PER_MS = 1e6

/** Opens interpreters; see [TfliteFactory]. What was made is closed when a later step fails. */
internal class InterpreterFactory(
    private val readLog: () -> List<String>,
    private val setupOf: (DelegateChoice) -> DelegateSetup = ::setupFor,
    private val interpreterOf: (ByteBuffer, Interpreter.Options) -> Interpreter = ::Interpreter,
) : SegmenterFactory {
    override fun open(variant: LoadedVariant, choice: DelegateChoice): Segmenter =
        explained(variant.card.file.file, choice) {
            val start = System.nanoTime()
            val setup = setupOf(choice)
            setup.orClose { prepared(variant, choice, setup, start) }
        }

    private fun prepared(
        variant: LoadedVariant,
        choice: DelegateChoice,
        setup: DelegateSetup,
        start: Long,
    ): Segmenter {
        val data = variant.data.duplicate().order(variant.data.order())
        val interpreter = interpreterOf(data, setup.options)
        return interpreter.orClose {
            interpreter.allocateTensors()
            val initMs = (System.nanoTime() - start) / NANOS_PER_MS
            val graph = GraphFacts(stepsOf(interpreter), variant.ops, readLog())
            val running = describe(choice, setup, graph)
            InterpreterSegmenter(variant, interpreter, setup, running, initMs)
        }
    }
}

/** Closes this when [next] throws, memory that ran out included. */
private inline fun <T> AutoCloseable.orClose(next: () -> T): T =
    try {
        next()
    } catch (error: Throwable) {
        close()
        throw error
    }
