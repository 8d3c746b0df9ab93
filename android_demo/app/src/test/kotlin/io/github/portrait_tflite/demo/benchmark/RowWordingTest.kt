package io.github.portrait_tflite.demo.benchmark

import io.github.portrait_tflite.core.measure.SelfTestRow
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.demo.AppRunner
import org.junit.Assert.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

/** Every line of a self-test begins with what it came to. */
@RunWith(AppRunner::class)
class RowWordingTest {
    private val wording = RowWording(RuntimeEnvironment.getApplication().resources)
    private val blank = SelfTestRow("int8", DelegateKind.XNNPACK, threads = 1)
    private val run = blank.copy(golden = 2, iou = 0.99954, maxStep = 1.0)

    private fun said(row: SelfTestRow) = wording.row(row)

    @Test
    fun whatRanIsMarkedByItsPromise() {
        val rest = "int8, xnnpack, golden 2, IoU 0.9995, largest step 1.00"
        assertEquals("passed: $rest", said(run.copy(passed = true)))
        assertEquals("FAILED: $rest", said(run.copy(passed = false)))
        assertEquals("nothing promised: $rest", said(run))
    }

    @Test
    fun whatDidNotRunIsMarkedByWhoseFaultItIs() {
        assertEquals(
            "FAILED: int8, xnnpack: a whole file is required.",
            said(blank.copy(passed = false, error = "a whole file is required.")),
        )
        assertEquals(
            "not available: int8, xnnpack, golden 2: built-in kernels run",
            said(run.copy(unavailable = "built-in kernels run")),
        )
    }
}
