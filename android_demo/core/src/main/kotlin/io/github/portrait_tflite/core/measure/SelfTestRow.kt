package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.DelegateKind

/**
 * A golden case on a delegate.
 *
 * @property golden its number; null where none was run.
 * @property iou of the masks at 0.5.
 * @property maxStep the most that a stored number differs by; of floats in units of 1/255.
 * @property passed whether model.json's tolerance holds; null where it promises nothing, or the
 *   delegate is not there.
 * @property unavailable why the delegate did not run it; "" where it did.
 * @property error what is wrong with the model; "" where nothing is.
 */
data class SelfTestRow(
    val variant: String,
    val delegate: DelegateKind,
    val threads: Int,
    val golden: Int? = null,
    val iou: Double? = null,
    val maxStep: Double? = null,
    val passed: Boolean? = null,
    val unavailable: String = "",
    val error: String = "",
)
