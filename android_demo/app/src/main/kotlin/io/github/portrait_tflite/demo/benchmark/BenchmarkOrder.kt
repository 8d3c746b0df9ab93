package io.github.portrait_tflite.demo.benchmark

import android.os.Bundle
import io.github.portrait_tflite.core.measure.Effort
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal

/**
 * What an intent asks to be measured.
 *
 * @property run names the result file.
 * @property model a pushed folder; "" for the packaged model.
 * @property variants empty for all.
 */
data class BenchmarkOrder(
    val run: String,
    val model: String,
    val variants: List<String>,
    val choices: List<DelegateChoice>,
    val effort: Effort,
)

/** The name of a run whose own cannot be used. */
const val UNNAMED = "benchmark"

private val FILE_NAME = Regex("[A-Za-z0-9][A-Za-z0-9._-]*")

/** The run's name, or [UNNAMED] where there is none that a file can have. Never throws. */
fun runName(extras: Bundle): String =
    // Reading a bundle makes what is in it, which may fail: any app can have sent it.
    runCatching { extras.value("run") as? String }.getOrNull()?.takeIf(FILE_NAME::matches)
        ?: UNNAMED

/**
 * Reads the extras of an intent; each has a default.
 *
 * @throws Refusal one is of another type, or not among what it may be.
 */
fun readOrder(extras: Bundle): BenchmarkOrder {
    val run = extras.text("run", UNNAMED)
    if (!FILE_NAME.matches(run)) throw wrong(R.string.extra_run, "run", run)
    val kinds = extras.names("delegates", "cpu,xnnpack,gpu").map(::delegate)
    val threads = extras.names("threads", "1,2,4").map(::threads)
    return BenchmarkOrder(
        run,
        extras.text("model", ""),
        extras.names("variants", ""),
        kinds.flatMap { choices(it, threads) },
        effort(extras),
    )
}

private fun effort(extras: Bundle): Effort {
    val usual = Effort()
    val runs = extras.number<Int>("runs", "--ei runs 50") { it > 0 }
    val seconds = extras.number<Float>("seconds", "--ef seconds 10") { it.isFinite() && it >= 0 }
    val coolDown = extras.number<Int>("cooldown", "--ei cooldown 30") { it >= 0 }
    return Effort(
        runs ?: usual.runs,
        seconds?.toDouble() ?: usual.seconds,
        coolDown?.toDouble() ?: usual.coolDownSeconds,
    )
}

private fun choices(kind: DelegateKind, threads: List<Int>): List<DelegateChoice> {
    if (kind == DelegateKind.GPU) return listOf(DelegateChoice(kind))
    return threads.map { DelegateChoice(kind, it) }
}

private fun delegate(name: String): DelegateKind {
    val known = DelegateKind.entries.joinToString { it.json }
    return DelegateKind.of(name) ?: throw wrong(R.string.extra_delegate, "delegates", name, known)
}

private fun threads(name: String): Int =
    name.toIntOrNull()?.takeIf { it > 0 } ?: throw wrong(R.string.extra_threads, "threads", name)

private fun Bundle.names(key: String, default: String): List<String> =
    text(key, default).split(",").map(String::trim).filter(String::isNotEmpty).also {
        if (it.isEmpty() &&
            default.isNotEmpty()
        ) {
            throw wrong(R.string.extra_names, key, text(key, default), default)
        }
    }

private fun Bundle.text(key: String, default: String): String {
    if (!containsKey(key)) return default
    return value(key) as? String ?: throw wrong(R.string.extra_text, key, value(key))
}

/** A number of exactly this type, as `am` stores it; null where there is none. */
private inline fun <reified T : Number> Bundle.number(
    key: String,
    example: String,
    allowed: (T) -> Boolean,
): T? {
    if (!containsKey(key)) return null
    val number = value(key) as? T
    if (number != null && allowed(number)) return number
    throw wrong(R.string.extra_number, key, value(key), example)
}

@Suppress("DEPRECATION") // Its successor wants the type that is to be found out here.
private fun Bundle.value(key: String): Any? = get(key)

private fun wrong(text: Int, key: String, received: Any?, example: String = ""): Refusal {
    val type = received?.let { ", ${it.javaClass.simpleName}" }.orEmpty()
    return Refusal(text, key, "$received$type", example)
}
