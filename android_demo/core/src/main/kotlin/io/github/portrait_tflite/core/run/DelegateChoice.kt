package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.model.DelegateKind

/**
 * What is to run a network.
 *
 * @property threads of the CPU; 1 and passed over on the GPU.
 */
data class DelegateChoice(val kind: DelegateKind, val threads: Int = 1) {
    init {
        require(threads > 0) { "threads must be 1 or more. Received: $threads." }
    }

    /** As a screen shows it: `cpu`, `xnnpack, 4 threads`, `gpu`. */
    override fun toString(): String =
        when {
            kind == DelegateKind.GPU -> kind.json
            threads == 1 -> "${kind.json}, 1 thread"
            else -> "${kind.json}, $threads threads"
        }
}

/**
 * What was asked, and what runs.
 *
 * @property actual differs from [asked] only with a [fallback].
 * @property partitions of the graph that the delegate runs; 1 is best, null where the runtime does
 *   not say.
 * @property steps what the runtime executes one after the other, a partition counting as one; null
 *   where the runtime does not say.
 * @property ops of the file, for comparing with [steps].
 * @property fallback why not what was asked; "" where it is.
 * @property remark what to mind, such as the GPU's lower precision; "" for nothing.
 */
data class Running(
    val asked: DelegateChoice,
    val actual: DelegateChoice,
    val partitions: Int?,
    val steps: Int?,
    val ops: Int,
    val fallback: String = "",
    val remark: String = "",
)

/**
 * What was asked for cannot be had on this machine.
 *
 * @param sentence says what and why.
 */
class DelegateUnavailable(sentence: String, cause: Throwable? = null) : Exception(sentence, cause) {
    /** The sentence to show. */
    val sentence: String get() = message.orEmpty()
}
