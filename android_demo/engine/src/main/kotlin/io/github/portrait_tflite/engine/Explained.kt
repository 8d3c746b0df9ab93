package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.DelegateUnavailable

private const val SHOWN = 200 // characters of the runtime's own words

private val BUILT_IN = Regex("""Didn't find op for builtin opcode '(\w+)' version '(\d+)'""")
private val CUSTOM = Regex("""Encountered unresolved custom op: (\w+)""")
private val MEMORY = Regex("""alloc\w* .*memory|out of memory""", RegexOption.IGNORE_CASE)

/**
 * Runs [block] and puts what the runtime throws into a sentence.
 *
 * @throws BadModel no delegate of this runtime can run the file.
 * @throws DelegateUnavailable another delegate may.
 */
internal inline fun <T> explained(file: String, choice: DelegateChoice, block: () -> T): T =
    try {
        block()
    } catch (error: IllegalArgumentException) {
        throw explain(error, file, choice)
    } catch (error: IllegalStateException) {
        throw explain(error, file, choice)
    } catch (error: LinkageError) {
        throw missing(error, choice)
    } catch (error: OutOfMemoryError) {
        throw tooBig(error, file)
    }

internal fun explain(error: RuntimeException, file: String, choice: DelegateChoice): Exception {
    val words = error.message.orEmpty()
    val unknown = unknownOp(words)
    return when {
        unknown != null ->
            BadModel(
                "a runtime that knows $unknown is required by $file. Received: TensorFlow Lite " +
                    "${TfliteFactory.runtimeVersion()}. Update the app, or convert the model " +
                    "without that op.",
                error,
            )
        MEMORY.containsMatchIn(words) -> tooBig(error, file)
        choice.kind == DelegateKind.CPU ->
            BadModel(
                "a model that the runtime can run is required. Received: $file " +
                    "(${brief(words)}). Convert it again.",
                error,
            )
        else ->
            DelegateUnavailable(
                "${choice.kind.json} that can run $file is required. Received: ${brief(words)}. " +
                    "Choose another delegate.",
                error,
            )
    }
}

internal fun missing(error: LinkageError, choice: DelegateChoice): DelegateUnavailable =
    DelegateUnavailable(
        "${choice.kind.json} needs a library that this device or app has not. Received: " +
            "${brief(firstSentence(error))}. Choose another delegate.",
        error,
    )

/** What is missing; what follows in TFLite's message is for those who build apps. */
private fun firstSentence(error: Throwable) = error.message.orEmpty().substringBefore(". ")

internal fun tooBig(error: Throwable, file: String): BadModel =
    BadModel(
        "$file must fit into this device's memory. Received: " +
            "${brief(error.message.orEmpty())}. Choose a smaller variant or model.",
        error,
    )

private fun unknownOp(words: String): String? {
    BUILT_IN.find(words)?.destructured?.let { (op, version) -> return "$op version $version" }
    return CUSTOM.find(words)?.destructured?.let { (op) -> "the custom op $op" }
}

/** The runtime's own words on one line. */
private fun brief(words: String): String {
    val line = words.lines().joinToString(" ") { it.trim() }.trim().trimEnd('.')
    return if (line.length > SHOWN) line.take(SHOWN) + "…" else line
}
