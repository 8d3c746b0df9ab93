package io.github.portrait_tflite.demo

import android.content.Intent
import android.os.Bundle
import android.util.Log
import android.view.WindowManager
import io.github.portrait_tflite.demo.benchmark.BenchmarkRun
import io.github.portrait_tflite.demo.benchmark.readOrder
import io.github.portrait_tflite.demo.benchmark.runName
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.phone.writeResult
import io.github.portrait_tflite.demo.screen.ReportActivity
import java.util.concurrent.atomic.AtomicBoolean
import kotlin.concurrent.thread

/**
 * Measures what the intent's extras say and leaves `results/RUN.json`; see README.md.
 *
 * The log gets one line when it is over: `done RUN PATH` or `failed RUN SENTENCE`.
 */
class BenchmarkActivity : ReportActivity(R.string.benchmark_title) {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        // One that is shown anew was measured before.
        if (savedInstanceState == null) start(intent.extras ?: Bundle())
    }

    /** A second order, while the screen of the first is still there. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        start(intent.extras ?: Bundle())
    }

    private fun start(extras: Bundle) {
        val name = runName(extras)
        if (!BUSY.compareAndSet(false, true)) {
            tell(name, "", getString(R.string.benchmark_busy))
            return
        }
        thread(name = "benchmark") {
            try {
                measure(name, extras)
            } finally {
                BUSY.set(false)
            }
        }
    }

    private fun measure(name: String, extras: Bundle) {
        val run = BenchmarkRun(this, engine(), ::show)
        val result = attempt { run.run(readOrder(extras)) }.getOrElse { run.failed(sentence(it)) }
        val file = attempt { writeResult(this, name, result.toJson()).path }
        val unwritten = file.exceptionOrNull()?.let(::sentence).orEmpty()
        tell(name, file.getOrDefault(""), result.error.ifEmpty { unwritten })
    }

    /** A script waits for the line in the log: it must come, whatever happens. */
    private fun <T> attempt(work: () -> T): Result<T> =
        runCatching(work).onFailure { Log.w(TAG, "what follows was caused by", it) }

    private fun tell(name: String, path: String, error: String) {
        if (error.isEmpty()) Log.i(TAG, "done $name $path") else Log.e(TAG, "failed $name $error")
        show(error.ifEmpty { getString(R.string.benchmark_done, path) })
    }

    private companion object {
        const val TAG = "PortraitBenchmark"

        /** Two at a time would measure each other. */
        val BUSY = AtomicBoolean()
    }
}
