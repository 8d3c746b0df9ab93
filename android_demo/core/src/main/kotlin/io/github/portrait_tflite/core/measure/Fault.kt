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

/** Runs [block]; null where it went well. */
internal inline fun faultOf(block: () -> Unit): Fault? =
    try {
        block()
        null
    } catch (error: DelegateUnavailable) {
        Fault(unavailable = error.sentence)
    } catch (error: BadModel) {
        Fault(error = error.sentence)
    } catch (error: OutOfMemoryError) {
        Fault(error = "memory ran out (${error.message}). Choose a smaller variant or model.")
    }
