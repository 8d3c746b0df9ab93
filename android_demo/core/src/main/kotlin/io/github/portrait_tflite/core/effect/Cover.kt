package io.github.portrait_tflite.core.effect

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.frame.PixelRowsCache
import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.frame.packRow
import io.github.portrait_tflite.core.model.Fit
import io.github.portrait_tflite.core.model.Interpolation
import io.github.portrait_tflite.core.resize.RowResampler

/** Brings a background to a frame's size: its middle is cropped, then resized bilinearly. */
fun cover(picture: ArgbFrame, width: Int, height: Int): ArgbFrame {
    val at = Placement.of(Fit.CROP, picture.width, picture.height, width, height)
    val pixels = IntArray(width * height)
    RowResampler.of(Interpolation.BILINEAR, at).run(
        PixelRowsCache().of(picture, Orientation()),
        sink = { row, rgb -> packRow(rgb, pixels, row * width) },
    )
    return ArgbFrame(width, height, pixels)
}
