package io.github.portrait_tflite.demo.screen

import android.app.Activity
import android.os.Bundle
import android.widget.TextView
import io.github.portrait_tflite.demo.R

/**
 * A screen that says line by line what another thread finds.
 *
 * @param heading a string resource.
 */
abstract class ReportActivity(private val heading: Int) : Activity() {
    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.report)
        setTitle(heading)
        findViewById<TextView>(R.id.report_title).setText(heading)
    }

    /** Adds a line; any thread. */
    protected fun show(line: String) =
        runOnUiThread { findViewById<TextView>(R.id.report_lines).append("$line\n") }
}
