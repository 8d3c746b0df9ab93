package io.github.portrait_tflite.core.model

/**
 * A model that cannot be used.
 *
 * @param sentence what is required, what was received and how to go on, for the person at the
 *   screen and for the result file.
 */
class BadModel(sentence: String, cause: Throwable? = null) : Exception(sentence, cause) {
    /** The sentence to show. */
    val sentence: String get() = message.orEmpty()
}
