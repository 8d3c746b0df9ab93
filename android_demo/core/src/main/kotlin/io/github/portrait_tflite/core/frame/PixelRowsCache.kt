package io.github.portrait_tflite.core.frame

/**
 * Keeps the tables for reading frames as long as these are laid out alike, in whichever buffers
 * they come: a camera's frames take turns in a few.
 */
internal class PixelRowsCache {
    private var layout: Layout? = null
    private var rows: PixelRows? = null

    /**
     * Returns what reads a frame turned upright, until the next frame is asked for; the same object
     * for the same layout.
     */
    fun of(frame: Frame, orientation: Orientation): PixelRows {
        val wanted = Layout.of(frame, orientation)
        val kept = rows?.takeIf { wanted == layout } ?: make(frame, orientation)
        kept.show(frame)
        layout = wanted
        rows = kept
        return kept
    }

    private fun make(frame: Frame, orientation: Orientation): PixelRows {
        val axes = UprightAxes(frame, orientation)
        return when (frame) {
            is ArgbFrame -> ArgbRows(frame.width, axes)
            is YuvFrame -> YuvRows(frame, axes)
        }
    }
}

/** All that the tables depend on; [strides] are empty for packed pixels. */
private data class Layout(
    val width: Int,
    val height: Int,
    val orientation: Orientation,
    val strides: List<Int>,
) {
    companion object {
        fun of(frame: Frame, orientation: Orientation) =
            Layout(frame.width, frame.height, orientation, strides(frame))

        private fun strides(frame: Frame): List<Int> =
            when (frame) {
                is ArgbFrame -> emptyList()
                is YuvFrame -> listOf(frame.y, frame.u, frame.v).flatMap {
                    listOf(it.rowStride, it.pixelStride)
                }
            }
    }
}
