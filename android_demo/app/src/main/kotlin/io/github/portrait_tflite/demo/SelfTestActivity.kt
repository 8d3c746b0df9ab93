package io.github.portrait_tflite.demo

import android.content.Intent
import io.github.portrait_tflite.demo.benchmark.SelfTestJob
import io.github.portrait_tflite.demo.screen.ReportActivity

/** Holds all variants on all delegates against the host's masks; leaves `results/self-test.json`. */
class SelfTestActivity : ReportActivity(R.string.self_test_title) {
    override fun begin(intent: Intent) {
        val model = intent.getStringExtra(MODEL).orEmpty()
        val job = SelfTestJob(applicationContext, model, errand::say)
        if (!errand.start(job)) errand.say(getString(R.string.run_busy))
    }

    companion object {
        /** The extra that names a pushed folder; none for the packaged model. */
        const val MODEL = "model"
    }
}
