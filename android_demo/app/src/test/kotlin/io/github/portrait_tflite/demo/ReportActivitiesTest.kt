package io.github.portrait_tflite.demo

import android.app.Activity
import android.content.Intent
import android.os.Build
import android.os.Parcel
import android.os.Parcelable
import android.view.WindowManager
import java.io.File
import org.json.JSONObject
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.shadows.ShadowLog
import org.robolectric.util.ReflectionHelpers

@RunWith(AppRunner::class)
class ReportActivitiesTest {
    private val context = RuntimeEnvironment.getApplication()

    private fun result(name: String) = File(context.getExternalFilesDir("results"), "$name.json")

    private fun lastLine(): String? =
        ShadowLog.getLogsForTag("PortraitBenchmark").orEmpty().map { it.msg }
            .lastOrNull { it.startsWith("done") || it.startsWith("failed") }

    /** Starts a benchmark and waits for the line in the log. */
    private fun benchmark(extras: Intent.() -> Unit): Activity {
        val intent = Intent(context, BenchmarkActivity::class.java).apply(extras)
        val activity = Robolectric.buildActivity(
            BenchmarkActivity::class.java,
            intent,
        ).setup().get()
        until("the line") { lastLine() != null }
        until("the last words") {
            lastLine()!!.substringAfterLast(" ") in
                activity.text(R.id.report_lines)
        }
        return activity
    }

    /** Starts a benchmark that must be refused, and returns the sentence of its file. */
    private fun refused(run: String, extras: Intent.() -> Unit): String {
        benchmark(extras)
        val sentence = JSONObject(result(run).readText()).getString("error")
        assertEquals("failed $run $sentence", lastLine())
        return sentence
    }

    @Test
    fun selfTestPassesWhatThisMachineHas() {
        val activity = Robolectric.buildActivity(SelfTestActivity::class.java).setup().get()
        until("the end") { "Written to" in activity.text(R.id.report_lines) }
        activity.screenshot("self-test")
        val rows = JSONObject(result("self-test").readText()).getJSONArray("self_test")
        val tested = (0 until rows.length()).map { rows.getJSONObject(it) }
        assertTrue(tested.any { it.getString("delegate") == "xnnpack" && it.optBoolean("passed") })
        assertTrue(tested.none { it.opt("passed") == false })
        assertTrue(
            tested.any {
                it.getString("delegate") == "gpu" &&
                    it.getString("unavailable").isNotEmpty()
            },
        )
    }

    @Test
    fun benchmarkWritesWhatWasAskedFor() {
        val activity =
            benchmark {
                putExtra("run", "first").putExtra("variants", "float16")
                putExtra("delegates", "xnnpack,gpu").putExtra("threads", "1")
                putExtra("runs", 3).putExtra("seconds", 0.0f).putExtra("cooldown", 0)
            }
        activity.screenshot("benchmark")
        assertEquals("done first ${result("first").path}", lastLine())
        assertFalse(File(result("first").path + ".part").exists())
        val json = JSONObject(result("first").readText())
        val rows = json.getJSONArray("benchmarks")
        assertEquals(2, rows.length())
        val row = rows.getJSONObject(0)
        assertEquals(3, row.getInt("runs"))
        assertTrue(row.getJSONObject("latency_ms").getDouble("median") > 0)
        assertTrue(row.getJSONObject("frame_ms").getJSONObject("effect").getDouble("median") > 0)
        assertTrue(rows.getJSONObject(1).getString("unavailable").isNotEmpty())
        assertTrue(json.getJSONObject("model").getString("sha256").length == 64)
        // tests/android/test_device_result.py reads it as the host does.
        result("first").copyTo(File("target/device-results/first.json"), overwrite = true)
    }

    @Test
    fun refusesExtrasOfAnotherType() {
        val sentence = refused("typed") { putExtra("run", "typed").putExtra("runs", "many") }
        assertTrue(sentence, "runs" in sentence && "many" in sentence && "--ei runs 50" in sentence)
    }

    @Test
    fun refusesAnExtraThatCannotEvenBeRead() {
        // Parcelled, as another app's intent comes.
        val parcel = Parcel.obtain()
        Intent().putExtra("run", Unreadable()).writeToParcel(parcel, 0)
        parcel.setDataPosition(0)
        val sentence = refused("benchmark") { putExtras(Intent.CREATOR.createFromParcel(parcel)) }
        assertTrue(sentence, "is required" in sentence || "Received" in sentence)
    }

    /** What some other app may put into an intent. */
    private class Unreadable : Parcelable {
        override fun describeContents() = 0

        override fun writeToParcel(to: Parcel, flags: Int) = Unit

        companion object {
            @JvmField
            @Suppress("unused") // Android looks for it by its name.
            val CREATOR =
                object : Parcelable.Creator<Unreadable> {
                    override fun createFromParcel(from: Parcel): Unreadable =
                        error("nobody can read this")

                    override fun newArray(size: Int) = arrayOfNulls<Unreadable>(size)
                }
        }
    }

    @Test
    fun refusesATimeWithoutEnd() {
        val endless = Float.POSITIVE_INFINITY
        val sentence = refused("long") { putExtra("run", "long").putExtra("seconds", endless) }
        assertTrue(sentence, "--ef seconds 10" in sentence && "Infinity" in sentence)
    }

    @Test
    fun refusesAListOfNothing() {
        val sentence = refused("none") { putExtra("run", "none").putExtra("delegates", " , ") }
        assertTrue(sentence, "delegates" in sentence && "cpu,xnnpack,gpu" in sentence)
    }

    @Test
    fun refusesANameThatIsNoFile() {
        val sentence = refused("benchmark") { putExtra("run", "../elsewhere") }
        assertTrue(sentence, "../elsewhere" in sentence)
    }

    @Test
    fun refusesADelegateThatIsNone() {
        val sentence = refused("npu") { putExtra("run", "npu").putExtra("delegates", "cpu,npu") }
        assertTrue(sentence, "cpu, xnnpack, gpu" in sentence && "npu" in sentence)
    }

    @Test
    fun refusesAVariantThatIsNone() {
        val sentence = refused("int4") { putExtra("run", "int4").putExtra("variants", "int4") }
        assertTrue(sentence, "int4" in sentence && "int8" in sentence)
    }

    @Test
    fun refusesAModelThatIsNotThere() {
        val sentence = refused("lost") { putExtra("run", "lost").putExtra("model", "nowhere") }
        assertTrue(sentence, "nowhere" in sentence && "with adb" in sentence)
    }

    @Test
    fun refusesAFolderWithoutModelJson() {
        File(context.getExternalFilesDir("models"), "empty").mkdirs()
        val sentence = refused("empty") { putExtra("run", "empty").putExtra("model", "empty") }
        assertTrue(sentence, "model.json" in sentence)
    }

    @Test
    fun refusesANewerSchema() {
        val folder = File(context.getExternalFilesDir("models"), "newer").apply { mkdirs() }
        File(folder, "model.json").writeText("""{"schema": 99}""")
        val sentence = refused("newer") { putExtra("run", "newer").putExtra("model", "newer") }
        assertTrue(sentence, "schema" in sentence && "99" in sentence)
    }

    @Test
    fun saysThatAResultCannotBeWritten() {
        block("full")
        val activity =
            benchmark {
                putExtra("run", "full").putExtra("variants", "float16")
                putExtra("delegates", "xnnpack").putExtra("threads", "1")
                putExtra("runs", 1).putExtra("seconds", 0.0f).putExtra("cooldown", 0)
            }
        val line = lastLine()!!
        assertTrue(line, line.startsWith("failed full Room for "))
        val said = activity.text(R.id.report_lines)
        assertTrue(said, "median" in said && line.removePrefix("failed full ") in said)
    }

    @Test
    fun saysThatAResultCannotBeWrittenBesideWhatFailedBefore() {
        block("both")
        val activity = benchmark { putExtra("run", "both").putExtra("delegates", "npu") }
        val line = lastLine()!!
        assertTrue(line, "npu" in line && "Room for " in line)
        assertTrue(line.removePrefix("failed both ") in activity.text(R.id.report_lines))
    }

    @Test
    fun selfTestSaysThatItsResultCannotBeWritten() {
        block("self-test")
        val activity = Robolectric.buildActivity(SelfTestActivity::class.java).setup().get()
        until("the sentence") { "Room for " in activity.text(R.id.report_lines) }
        assertTrue("passed" in activity.text(R.id.report_lines))
        assertFalse("Written to" in activity.text(R.id.report_lines))
    }

    /** Lets writing a result fail, as on a full disk. */
    private fun block(run: String) {
        File(context.getExternalFilesDir("results"), "$run.json.part").mkdirs()
    }

    @Test
    fun theBenchmarkShowsAboveTheLockScreenOfAndroid8() {
        assertEquals(0, lockScreenFlags(Build.VERSION_CODES.O_MR1)) // The manifest says it there.
        assertEquals(LOCK_SCREEN_FLAGS, lockScreenFlags(Build.VERSION_CODES.O))
    }

    private fun lockScreenFlags(api: Int): Int {
        val real = Build.VERSION.SDK_INT
        ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", api)
        try {
            val order = Intent(context, BenchmarkActivity::class.java).putExtra("run", 1)
            val activity = Robolectric.buildActivity(BenchmarkActivity::class.java, order).create()
            return activity.get().window.attributes.flags and LOCK_SCREEN_FLAGS
        } finally {
            ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", real)
        }
    }

    private companion object {
        @Suppress("DEPRECATION") // What replaces them is newer than minSdk.
        const val LOCK_SCREEN_FLAGS =
            WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED or
                WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON
    }
}
