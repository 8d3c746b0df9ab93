package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.DelegateKind

/** A reading before and after a cell; null where the device does not say. */
data class BeforeAfter<T>(val before: T?, val after: T?)

/** Stage times at the camera's resolution, in ms; null where there was no such stage. */
data class FrameTimes(
    val camera: Statistics?,
    val preprocess: Statistics?,
    val inference: Statistics?,
    val effect: Statistics?,
)

/**
 * One cell of a benchmark: a variant on a delegate.
 *
 * @property precision of the variant: its name.
 * @property partitions of the graph that the delegate ran; null where the runtime does not say.
 * @property initMs preparing the file, once read, on the delegate.
 * @property firstMs the first inference.
 * @property peakRssMb most memory of the whole process so far, in 10^6 bytes.
 * @property remark what to mind, such as the GPU's lower precision.
 * @property unavailable why the delegate did not run it; "" where it did.
 * @property error what failed; "" for nothing.
 * @property frameMs stages of whole frames, whose size a warning says; null where they were not
 *   timed, of which a warning says why.
 * @property samplesMs the timed inferences one by one.
 */
data class BenchmarkRow(
    val variant: String,
    val delegate: DelegateKind,
    val threads: Int,
    val precision: String = variant,
    val partitions: Int? = null,
    val runs: Int = 0,
    val warmup: Int = 0,
    val latencyMs: Statistics? = null,
    val initMs: Double? = null,
    val firstMs: Double? = null,
    val peakRssMb: Double? = null,
    val stable: Boolean = false,
    val warnings: List<String> = emptyList(),
    val remark: String = "",
    val unavailable: String = "",
    val error: String = "",
    val thermal: BeforeAfter<String> = BeforeAfter(null, null),
    val batteryC: BeforeAfter<Double> = BeforeAfter(null, null),
    val frameMs: FrameTimes? = null,
    val samplesMs: List<Double> = emptyList(),
)
