package io.github.portrait_tflite.demo

import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.view.WindowManager
import io.github.portrait_tflite.demo.benchmark.BenchmarkJob
import io.github.portrait_tflite.demo.screen.ReportActivity

/**
 * Measures what the intent's extras say and leaves `results/RUN.json`; see README.md.
 *
 * It must stay on the screen: Android slows down an app that nobody sees, and soon freezes it.
 */
class BenchmarkActivity : ReportActivity(R.string.benchmark_title) {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O_MR1) showWhenLocked()
    }

    @Suppress("DEPRECATION") // What replaces them, in the manifest, is newer than minSdk.
    private fun showWhenLocked() =
        window.addFlags(
            WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED or
                WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON,
        )

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
