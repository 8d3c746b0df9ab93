package io.github.portrait_tflite.demo.screen

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.view.ViewGroup
import android.view.WindowManager
import android.widget.TextView
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.benchmark.Errand

/**
 * A screen that says line by line what an [Errand] finds, the newest also on top. A screen that is made anew, for another
 * language or size of text, goes on with the errand of the one before.
 *
 * @param heading a string resource.
 */
abstract class ReportActivity(private val heading: Int) : Activity() {
    /** What is at work, and what it said. */
    protected lateinit var errand: Errand
        private set

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        setContentView(R.layout.report)
        setTitle(heading)
        findViewById<TextView>(R.id.report_title).setText(heading)
        val kept = lastNonConfigurationInstance as? Errand
        errand = kept ?: Errand()
        errand.tell(::show)
        when {
            kept != null -> return
            savedInstanceState == null -> begin(intent)
            else -> errand.say(getString(R.string.run_lost))
        }
    }

    /** Starts what the intent asks for. */
    protected abstract fun begin(intent: Intent)

    override fun onRetainNonConfigurationInstance(): Any = errand

    override fun onDestroy() {
        errand.tell(null)
        if (isFinishing) errand.breakOff()
        super.onDestroy()
    }

    private fun show(line: String) = runOnUiThread {
        findViewById<TextView>(R.id.report_newest).text = line
        // A view each, so that a screen reader goes from line to line.
        val lines = findViewById<ViewGroup>(R.id.report_lines)
        val view = layoutInflater.inflate(R.layout.report_line, lines, false) as TextView
        view.text = line
        lines.addView(view)
    }
}
