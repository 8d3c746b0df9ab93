package io.github.portrait_tflite.core.mask

import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.model.ModelSpec
import io.github.portrait_tflite.core.resize.FloatRegion
import io.github.portrait_tflite.core.resize.FloatResize
import kotlin.math.max
import kotlin.math.round

/**
 * Brings masks of the network back to a frame: undoes the fit.
 *
 * @property width of the upright frame.
 * @property height of the upright frame.
 */
class MaskRestorer(private val spec: ModelSpec, val width: Int, val height: Int) {
    private val at = Placement.of(spec.fit, width, height, spec.width, spec.height)
    private val restored = Mask(width, height)
    private var region: Region? = null

    /**
     * Resizes a mask, of any resolution, to the frame. Outside of a crop it is 0.
     *
     * @return the same mask each time, filled anew.
     */
    fun restore(mask: Mask): Mask {
        val region = region?.takeIf { it.of.sameSize(mask) } ?: Region(mask)
        this.region = region
        region.resize.run(
            FloatRegion(mask.values, mask.width, region.top * mask.width + region.left),
            FloatRegion(restored.values, width, at.top * width + at.left),
        )
        return restored
    }

    /** The part of masks of the size of [of] in which the picture lies. */
    private inner class Region(val of: Mask) {
        val left = scaled(at.innerLeft, of.width, spec.width)
        val top = scaled(at.innerTop, of.height, spec.height)
        private val right = scaled(at.innerLeft + at.innerWidth, of.width, spec.width)
        private val bottom = scaled(at.innerTop + at.innerHeight, of.height, spec.height)
        val resize =
            FloatResize(max(1, right - left), max(1, bottom - top), at.width, at.height)
    }

    private fun scaled(place: Int, side: Int, ofInput: Int): Int =
        round(place * (side.toDouble() / ofInput)).toInt()
}
