package io.github.portrait_tflite.demo

import android.os.Bundle
import io.github.portrait_tflite.core.measure.DeviceResult
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.benchmark.BenchmarkRun
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.phone.writeResult
import io.github.portrait_tflite.demo.screen.ReportActivity
import kotlin.concurrent.thread

/** Holds all variants on all delegates against the host's masks; leaves `results/self-test.json`. */
class SelfTestActivity : ReportActivity(R.string.self_test_title) {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        thread(name = "self-test") { test(intent.getStringExtra(MODEL).orEmpty()) }
    }

    private fun test(model: String) {
        val run = BenchmarkRun(this, engine(), ::show)
        runCatching {
            val result = run.selfTest(model, DelegateKind.entries.map { DelegateChoice(it) })
            show(summary(result))
            val file = writeResult(this, "self-test", result.toJson())
            show(getString(R.string.self_test_file, file.path))
        }.onFailure { show(sentence(it)) }
    }

    private fun summary(result: DeviceResult): String {
        val failed = result.selfTest.count { it.passed == false }
        val passed = result.selfTest.count { it.passed == true }
        val untold = result.selfTest.size - failed - passed
        return getString(R.string.self_test_summary, passed, failed, untold)
    }

    companion object {
        /** The extra that names a pushed folder; none for the packaged model. */
        const val MODEL = "model"
    }
}
