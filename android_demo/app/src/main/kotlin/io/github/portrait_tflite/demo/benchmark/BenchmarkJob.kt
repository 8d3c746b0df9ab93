package io.github.portrait_tflite.demo.benchmark

import android.content.Context
import android.os.Bundle
import android.util.Log
import io.github.portrait_tflite.core.measure.DeviceResult
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.phone.writeResult
import io.github.portrait_tflite.demo.sentence
import java.util.concurrent.atomic.AtomicBoolean

/** The log's tag. */
const val TAG = "PortraitBenchmark"

/**
 * What an intent's [extras] ask for, from reading them to `results/RUN.json` and one line in the
 * log: `done RUN PATH` or `failed RUN SENTENCE`. A script waits for both, whatever happens.
 *
 * @param say takes lines for the screen.
 */
class BenchmarkJob(
    private val context: Context,
    private val extras: Bundle,
    private val say: (String) -> Unit,
) : Work {
    private val run = BenchmarkRun(context, engine(), say)
    private val over = AtomicBoolean()

    override fun run() {
        try {
            finish(run.run(readOrder(extras)))
        } catch (_: InterruptedException) {
            breakOff()
        } catch (error: Throwable) {
            Log.w(TAG, "what follows was caused by", error)
            finish(run.failed(context.resources.sentence(error)))
        }
    }

    override fun breakOff() = fail(R.string.benchmark_left)

    /** Ends it before it began: another is at work. */
    fun refuse() = fail(R.string.run_busy)

    private fun fail(text: Int) = finish(run.failed(context.getString(text)))

    /** Writes and tells; whoever comes second is late. */
    private fun finish(result: DeviceResult) {
        if (!over.compareAndSet(false, true)) return
        val name = runName(extras)
        val file = runCatching { writeResult(context, name, result.toJson()).path }
        val unwritten = file.exceptionOrNull()?.let(context.resources::sentence).orEmpty()
        val error = listOf(result.error, unwritten).filter(String::isNotEmpty).joinToString(" ")
        if (error.isEmpty()) {
            Log.i(TAG, "done $name ${file.getOrThrow()}")
            say(context.getString(R.string.benchmark_done, file.getOrThrow()))
        } else {
            Log.e(TAG, "failed $name $error")
            say(error)
        }
    }
}
