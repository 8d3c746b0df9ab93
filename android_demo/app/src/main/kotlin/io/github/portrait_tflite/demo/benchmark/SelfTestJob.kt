package io.github.portrait_tflite.demo.benchmark

import android.content.Context
import io.github.portrait_tflite.core.measure.DeviceResult
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.phone.writeResult
import io.github.portrait_tflite.demo.sentence
import java.io.File

/**
 * The self-test of a model, written to `results/self-test.json`: what it found, or why it could not.
 *
 * @param model a pushed folder; "" for the packaged model.
 * @param say takes lines for the screen.
 */
class SelfTestJob(
    private val context: Context,
    private val model: String,
    private val say: (String) -> Unit,
) : Work {
    override fun run() {
        val run = BenchmarkRun(context, engine(), say)
        try {
            val result = run.selfTest(model, DelegateKind.entries.map { DelegateChoice(it) })
            end(summary(result), result)
        } catch (_: InterruptedException) {
            return // The person left.
        } catch (error: Throwable) {
            val sentence = context.resources.sentence(error)
            end(sentence, run.failed(sentence))
        }
    }

    /** Writes, and says in one line what it came to and where it is. */
    private fun end(outcome: String, result: DeviceResult) {
        val written = runCatching { writeResult(context, "self-test", result.toJson()) }
        val place = { file: File -> context.getString(R.string.self_test_file, file.path) }
        say("$outcome\n${written.fold(place, context.resources::sentence)}")
    }

    private fun summary(result: DeviceResult): String {
        val failed = result.selfTest.count { it.passed == false }
        val passed = result.selfTest.count { it.passed == true }
        val untold = result.selfTest.size - failed - passed
        return context.getString(R.string.self_test_summary, passed, failed, untold)
    }
}
