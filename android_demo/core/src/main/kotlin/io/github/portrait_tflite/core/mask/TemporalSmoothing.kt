package io.github.portrait_tflite.core.mask

import kotlin.math.abs
import kotlin.math.max

private const val HELD = 0.7f // share of the last mask where nothing changes
private const val MOTION = 0.5f // change from which on nothing is held

/**
 * Steadies the masks of a video: what flickers is held, what moves is followed.
 *
 * Per pixel, with mask m and the one that was given before p: `k = 0.7 * max(0, 1 - |p - m| / 0.5)`
 * and `m + k * (p - m)`. A change of half or more goes through at once, so that motion leaves no
 * trail. It is done on the network's mask, before it is restored to the frame's size.
 */
class TemporalSmoothing {
    private var previous: Mask? = null

    /** Smooths [mask] in place by those before it; one of another size begins anew. */
    fun smooth(mask: Mask) {
        val before = previous?.takeIf(mask::sameSize)
        if (before != null) hold(mask.values, before.values)
        val kept = before ?: Mask(mask.width, mask.height)
        mask.values.copyInto(kept.values)
        previous = kept
    }

    /** Forgets the frames before. */
    fun reset() {
        previous = null
    }

    private fun hold(mask: FloatArray, before: FloatArray) {
        for (index in mask.indices) {
            val change = before[index] - mask[index]
            mask[index] += HELD * max(0f, 1 - abs(change) / MOTION) * change
        }
    }
}
