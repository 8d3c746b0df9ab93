package io.github.portrait_tflite.demo.benchmark

import android.os.Bundle
import io.github.portrait_tflite.core.measure.Effort
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.Refusal
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

@RunWith(AppRunner::class)
class BenchmarkOrderTest {
    private val resources = RuntimeEnvironment.getApplication().resources

    private fun bundle(fill: Bundle.() -> Unit) = Bundle().apply(fill)

    private fun refused(fill: Bundle.() -> Unit): String =
        assertThrows(Refusal::class.java) { readOrder(bundle(fill)) }.sentence(resources)

    /** The extras of the README's `am start`, as `am` stores them. */
    private fun readme(): Bundle {
        val command = File("../README.md").readText().substringAfter("am start -W -n io.github")
        val given = Regex("""--e([sif]) (\w+) (\S+)""").findAll(command.substringBefore("logcat"))
        return bundle {
            for ((type, key, value) in given.map { it.destructured }) {
                when (type) {
                    "s" -> putString(key, value)
                    "i" -> putInt(key, value.toInt())
                    "f" -> putFloat(key, value.toFloat())
                }
            }
        }
    }

    @Test
    fun whatIsLeftOutIsWhatTheReadmeSays() {
        val usual = readOrder(Bundle())
        assertEquals("benchmark", usual.run)
        assertEquals("", usual.model)
        assertEquals(emptyList<String>(), usual.variants)
        val written = readOrder(readme())
        assertEquals("first", written.run)
        assertEquals(listOf("int8", "float16"), written.variants)
        assertEquals(usual, written.copy(run = usual.run, variants = usual.variants))
    }

    @Test
    fun everyCpuDelegateHasEveryNumberOfThreadsAndTheGpuNone() {
        val order =
            readOrder(bundle { putString("delegates", "gpu,cpu, xnnpack") })
        val cpus =
            listOf(DelegateKind.CPU, DelegateKind.XNNPACK).flatMap { kind ->
                listOf(1, 2, 4).map { DelegateChoice(kind, it) }
            }
        assertEquals(listOf(DelegateChoice(DelegateKind.GPU)) + cpus, order.choices)
    }

    @Test
    fun takesWhatIsGiven() {
        val order =
            readOrder(
                bundle {
                    putString("model", "pushed")
                    putString("threads", " 3 ")
                    putInt("runs", 7)
                    putFloat("seconds", 1.5f)
                    putInt("cooldown", 45)
                },
            )
        assertEquals("pushed", order.model)
        assertEquals(setOf(1, 3), order.choices.map { it.threads }.toSet())
        assertEquals(Effort(7, seconds = 1.5, coolDownSeconds = 45.0), order.effort)
    }

    @Test
    fun noRunAtAllIsRefused() {
        // By which the host asks the app for nothing but to make its folder.
        val sentence = refused { putInt("runs", 0) }
        assertTrue(sentence, "0, Integer" in sentence && "--ei runs 50" in sentence)
    }

    @Test
    fun numbersOfAnotherTypeAreRefused() {
        val whole = refused { putInt("seconds", 10) }
        assertTrue(whole, "10, Integer" in whole && "--ef seconds 10" in whole)
        val broken = refused { putFloat("cooldown", 0.5f) }
        assertTrue(broken, "0.5, Float" in broken && "--ei cooldown 30" in broken)
    }

    @Test
    fun threadsMustBeWholeNumbersAboveZero() {
        for (threads in listOf("x", "0", "1.5", "1,-2")) {
            val sentence = refused { putString("threads", threads) }
            assertTrue(sentence, "whole numbers above 0" in sentence)
        }
    }
}
