package io.github.portrait_tflite.core.resize

import io.github.portrait_tflite.core.frame.PixelRows
import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.model.Interpolation

/** Receives the rows of a resized picture, the first one first. */
internal fun interface RowSink {
    /**
     * Takes a row.
     *
     * @param rgb three numbers 0-255 per pixel; used again for the next row.
     */
    fun put(row: Int, rgb: IntArray)
}

/** Resizes the region of an upright picture that a [Placement] names. */
internal interface RowResampler {
    /** Reads [source] and hands each row of the resized region to [sink]. */
    fun run(source: PixelRows, sink: RowSink)

    companion object {
        /** Returns what resizes as [interpolation] says, to the byte as OpenCV. */
        fun of(interpolation: Interpolation, at: Placement): RowResampler {
            val reduces = at.width >= at.innerWidth && at.height >= at.innerHeight
            return when (interpolation) {
                Interpolation.BILINEAR -> mixing(at, Taps::bilinear)
                Interpolation.NEAREST -> mixing(at, Taps::nearest)
                Interpolation.AREA ->
                    if (reduces) AreaResampler(at) else mixing(at, Taps::areaEnlarged)
            }
        }

        private fun mixing(at: Placement, taps: (Int, Int) -> Taps): RowResampler =
            MixingResampler(
                at,
                columns = taps(at.width, at.innerWidth),
                rows = taps(at.height, at.innerHeight),
            )
    }
}
