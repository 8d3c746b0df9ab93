package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.DelegateUnavailable
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.models.RunOption
import io.github.portrait_tflite.demo.phone.engine
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertSame
import org.junit.Assert.assertThrows
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

/** Whatever fails while another network is opened, the one before stays and works. */
@RunWith(AppRunner::class)
class WorkbenchTest {
    private val opened = ArrayList<Counted>()
    private var failure: Throwable? = null
    private val factory =
        SegmenterFactory { variant, choice ->
            failure?.let { throw it }
            Counted(engine().open(variant, choice)).also { opened += it }
        }
    private val bench = Workbench(factory, StageClock())
    private val source = ModelShelf(RuntimeEnvironment.getApplication()).find("").source
    private val card = packagedCard()
    private val option = RunOption("float16", DelegateChoice(DelegateKind.XNNPACK, 2))

    private class Counted(private val inner: Segmenter) : Segmenter by inner {
        var closes = 0

        override fun close() {
            closes++
            inner.close()
        }
    }

    @After
    fun close() = bench.close()

    @Test
    fun aDelegateThatFailsLeavesTheOneBefore() {
        bench.open(source, card, option)
        for (error in listOf(DelegateUnavailable("not here"), OutOfMemoryError("heap"))) {
            failure = error
            val thrown =
                assertThrows(Throwable::class.java) { bench.open(source, card, option) }
            assertSame(error, thrown)
        }
        assertTheFirstWorks()
    }

    @Test
    fun aNetworkWhoseFramesCannotBePreparedIsClosedAndTheOneBeforeStays() {
        bench.open(source, card, option)
        // Means for fewer colours than there are: only preparing frames finds it.
        val variant = card.variant("float16")
        val broken = variant.copy(spec = variant.spec.copy(mean = listOf(0.5f)))
        val other = card.copy(variants = mapOf("float16" to broken))
        assertThrows(Exception::class.java) { bench.open(source, other, option) }
        assertEquals(2, opened.size)
        assertEquals(1, opened[1].closes)
        assertTheFirstWorks()
    }

    @Test
    fun anotherNetworkReplacesTheOneBefore() {
        bench.open(source, card, option)
        bench.open(source, card, option)
        assertEquals(listOf(1, 0), opened.map { it.closes })
    }

    private fun assertTheFirstWorks() {
        assertEquals(0, opened[0].closes)
        assertEquals(card.variant("float16").spec, bench.spec)
        assertNotNull(bench.segmentAlone(ArgbFrame(8, 8, IntArray(64))))
    }
}
