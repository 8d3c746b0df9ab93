package io.github.portrait_tflite.demo

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.run.DelegateUnavailable

/**
 * What was given to the app cannot be used: a picture, an intent's extra, a full disk.
 *
 * @param sentence what is required, what was received and how to go on.
 */
class Refusal(val sentence: String, cause: Throwable? = null) : Exception(sentence, cause)

/** What a screen or a result file says about an error. */
fun sentence(error: Throwable): String =
    when (error) {
        is Refusal -> error.sentence
        is BadModel -> error.sentence
        is DelegateUnavailable -> error.sentence
        is OutOfMemoryError ->
            "A model that this phone's memory holds is required. Received: a larger one. " +
                "Choose a smaller one."
        else ->
            "The app must go on without ${error.javaClass.simpleName}. " +
                "Received: ${error.message ?: "no message"}. logcat has more."
    }
