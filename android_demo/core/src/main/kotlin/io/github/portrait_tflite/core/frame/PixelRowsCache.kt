package io.github.portrait_tflite.core.frame

/** Keeps the tables for reading frames as long as these are laid out alike. */
internal class PixelRowsCache {
    private var layout: Layout? = null
    private var rows: PixelRows? = null

    /** Returns what reads a frame turned upright; the same object for the same layout. */
    fun of(frame: Frame, orientation: Orientation): PixelRows {
        val wanted = Layout(frame, orientation)
        rows?.takeIf { wanted == layout }?.let { return it }
        val axes = UprightAxes(frame, orientation)
        val made =
            when (frame) {
                is ArgbFrame -> ArgbRows(frame, axes)
                is YuvFrame -> YuvRows(frame, axes)
            }
        layout = wanted
        rows = made
        return made
    }
}

/** All that the tables depend on. Frames themselves are compared by identity. */
private data class Layout(
    val frame: Frame,
    val width: Int,
    val height: Int,
    val orientation: Orientation,
    val strides: List<Int>,
) {
    constructor(frame: Frame, orientation: Orientation) :
        this(frame, frame.width, frame.height, orientation, strides(frame))
}

private fun strides(frame: Frame): List<Int> =
    when (frame) {
        is ArgbFrame -> emptyList()
        is YuvFrame -> listOf(frame.y, frame.u, frame.v).flatMap {
            listOf(it.rowStride, it.pixelStride)
        }
    }
