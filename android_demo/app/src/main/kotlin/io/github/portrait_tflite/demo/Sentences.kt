package io.github.portrait_tflite.demo

import android.content.res.Resources
import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.run.DelegateUnavailable

/**
 * What was given to the app, or what the phone gives it, cannot be used: a picture, an intent's
 * extra, a full disk, a GPU's driver.
 *
 * @param text a string resource: what is required, what was received and how to go on.
 * @param given what is put into it.
 */
open class Refusal(
    private val text: Int,
    private vararg val given: Any,
    cause: Throwable? = null,
) : RuntimeException(cause) {
    /** What to show. */
    fun sentence(resources: Resources): String = resources.getString(text, *given)
}

/** What a screen or a result file says about an error. */
fun Resources.sentence(error: Throwable): String =
    when (error) {
        is Refusal -> error.sentence(this)
        is BadModel -> error.sentence
        is DelegateUnavailable -> error.sentence
        is OutOfMemoryError -> getString(R.string.too_large)
        else -> getString(R.string.unforeseen, error.javaClass.simpleName, error.message.orEmpty())
    }
