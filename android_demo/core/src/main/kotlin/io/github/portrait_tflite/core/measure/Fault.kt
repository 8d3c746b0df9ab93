package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.run.DelegateUnavailable

/**
 * Why a cell or a test could not be run.
 *
 * @property unavailable the delegate's reason; "" where it is none.
 * @property error what is wrong with the model or the run; "" where nothing is.
 */
internal data class Fault(val unavailable: String = "", val error: String = "") {
    /** A delegate that is not there fails nothing; anything else does. */
    val passed: Boolean? get() = if (error.isEmpty()) null else false
}

/**
 * Ends a run that somebody stopped by interrupting its thread.
 *
 * @throws InterruptedException it was.
 */
internal fun goOnUnlessStopped() {
    if (Thread.interrupted()) throw InterruptedException("stopped")
}

/** The words of what was thrown. */
internal fun wordsOf(error: Throwable): String = error.message ?: error.javaClass.simpleName

/** Runs [block]; null where it went well. A run that is stopped is no fault: that is thrown on. */
internal inline fun faultOf(block: () -> Unit): Fault? {
    val fault = triedOut(block)
    // What an interrupt broke, such as the reading of a file, is no fault of the model's.
    if (fault != null) goOnUnlessStopped()
    return fault
}

private inline fun triedOut(block: () -> Unit): Fault? =
    try {
        block()
        null
    } catch (error: DelegateUnavailable) {
        Fault(unavailable = error.sentence)
    } catch (error: BadModel) {
        Fault(error = error.sentence)
    } catch (error: OutOfMemoryError) {
        Fault(error = "memory ran out (${wordsOf(error)}). Choose a smaller variant or model.")
    } catch (error: RuntimeException) {
        // A driver or the runtime may throw anything; the other cells can still be measured.
        Fault(error = "what runs must not break. Received: ${wordsOf(error)}. Choose another one.")
    }
