package io.github.portrait_tflite.demo.benchmark

import android.content.Context
import io.github.portrait_tflite.core.measure.DeviceResult
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.phone.writeResult
import io.github.portrait_tflite.demo.sentence

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
            say(summary(result))
            write(result)
        } catch (_: InterruptedException) {
            return // The person left.
        } catch (error: Throwable) {
            val sentence = context.resources.sentence(error)
            say(sentence)
            write(run.failed(sentence))
        }
    }

    private fun write(result: DeviceResult) {
        val file = runCatching { writeResult(context, "self-test", result.toJson()) }
        file.onSuccess { say(context.getString(R.string.self_test_file, it.path)) }
        file.onFailure { say(context.resources.sentence(it)) }
    }

    private fun summary(result: DeviceResult): String {
        val failed = result.selfTest.count { it.passed == false }
        val passed = result.selfTest.count { it.passed == true }
        val untold = result.selfTest.size - failed - passed
        return context.getString(R.string.self_test_summary, passed, failed, untold)
    }
}
