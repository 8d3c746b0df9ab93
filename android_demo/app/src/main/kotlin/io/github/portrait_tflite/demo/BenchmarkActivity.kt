package io.github.portrait_tflite.demo

import android.content.Intent
import android.os.Bundle
import io.github.portrait_tflite.demo.benchmark.BenchmarkJob
import io.github.portrait_tflite.demo.screen.ReportActivity

/**
 * Measures what the intent's extras say and leaves `results/RUN.json`; see README.md.
 *
 * It must stay on the screen: Android slows down an app that nobody sees, and soon freezes it.
 */
class BenchmarkActivity : ReportActivity(R.string.benchmark_title) {
    override fun begin(intent: Intent) {
        val job = BenchmarkJob(applicationContext, intent.extras ?: Bundle(), errand::say)
        if (!errand.start(job)) job.refuse()
    }

    /** A second order, while the screen of the first is still there. */
    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        begin(intent)
    }

    override fun onStop() {
        if (!isChangingConfigurations) errand.breakOff()
        super.onStop()
    }
}
