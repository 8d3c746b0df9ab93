package io.github.portrait_tflite.core.model

/** How a picture of another shape meets the network's rectangle. */
enum class Fit { STRETCH, LETTERBOX, CROP }

/** How a picture is resized. */
enum class Interpolation { BILINEAR, NEAREST, AREA }

/** Colour order of the network's input; [depth] is the number of its colours. */
enum class Channels(val depth: Int) { RGB(3), BGR(3), GRAY(1) }

/** What turns the network's output into probabilities; `NONE` where it gives them itself. */
enum class Activation { NONE, SIGMOID, SOFTMAX }

/**
 * Which of the network's outputs is the person mask.
 *
 * @property index which output of the file.
 * @property channel which channel of it is the person; 0 for a mask of one channel.
 */
data class OutputSpec(val index: Int, val channel: Int, val activation: Activation)

/**
 * What a network for video remembers: its last mask, fed back beside the next picture.
 *
 * @property channel which channel of the picture's input takes it; null where it has its own input.
 * @property initial what the first picture is fed with.
 * @property fromOutput which output of the file the next picture is fed with.
 */
data class StateSpec(
    val input: Int,
    val channel: Int?,
    val initial: Float,
    val fromOutput: Int,
)

/**
 * How a picture becomes the network's input, and its output a mask.
 *
 * A byte `v` of a picture reaches the network as `(low + v / 255 * (high - low) - mean) / std`.
 *
 * @property height of the input in pixels.
 * @property width of the input in pixels.
 * @property low what byte 0 becomes before mean and std.
 * @property high what byte 255 becomes before mean and std.
 * @property mean subtracted per colour; empty for none.
 * @property std divided by per colour; empty for none.
 * @property state what is remembered from picture to picture; null for nothing.
 */
data class ModelSpec(
    val height: Int,
    val width: Int,
    val channels: Channels,
    val low: Double,
    val high: Double,
    val mean: List<Float>,
    val std: List<Float>,
    val fit: Fit,
    val interpolation: Interpolation,
    val output: OutputSpec,
    val state: StateSpec?,
) {
    /** Channels of the picture's input: its colours, and the state where it lies beside them. */
    val depth: Int get() = channels.depth + if (state?.channel != null) 1 else 0
}
