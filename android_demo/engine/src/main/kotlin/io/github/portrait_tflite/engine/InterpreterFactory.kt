package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import org.tensorflow.lite.Interpreter

private const val NANOS_PER_MS = 1e6

/** Opens interpreters; see [TfliteFactory]. */
internal class InterpreterFactory(
    private val readLog: () -> List<String>,
    private val setupOf: (DelegateChoice) -> DelegateSetup = ::setupFor,
) : SegmenterFactory {
    override fun open(variant: LoadedVariant, choice: DelegateChoice): Segmenter {
        val start = System.nanoTime()
        val file = variant.card.file.file
        val setup = explained(file, choice) { setupOf(choice) }
        val interpreter =
            try {
                explained(file, choice) { prepare(variant, setup.options) }
            } catch (error: Throwable) {
                setup.close()
                throw error
            }
        val initMs = (System.nanoTime() - start) / NANOS_PER_MS
        val graph = GraphFacts(stepsOf(interpreter), variant.ops, readLog())
        return InterpreterSegmenter(
            variant,
            interpreter,
            setup,
            running = describe(choice, setup, graph),
            initMs = initMs,
        )
    }

    private fun prepare(variant: LoadedVariant, options: Interpreter.Options): Interpreter {
        val interpreter = Interpreter(variant.data.duplicate().order(variant.data.order()), options)
        interpreter.allocateTensors()
        return interpreter
    }
}
