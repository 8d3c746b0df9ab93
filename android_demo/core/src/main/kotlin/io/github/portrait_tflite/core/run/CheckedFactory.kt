package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.LoadedVariant

/**
 * Never says GPU when the CPU computed: a GPU sums up in another order and in other precision, so
 * that an output with the very bytes of the CPU's is the CPU's.
 *
 * Runs a probe on the GPU and on both CPU paths before a segmenter is handed out.
 */
class CheckedFactory(private val inner: SegmenterFactory) : SegmenterFactory {
    override fun open(variant: LoadedVariant, choice: DelegateChoice): Segmenter {
        val opened = inner.open(variant, choice)
        if (opened.running.actual.kind != DelegateKind.GPU) return opened
        return try {
            relabelled(opened, variant)
        } catch (error: Throwable) {
            opened.close()
            throw error
        }
    }

    private fun relabelled(gpu: Segmenter, variant: LoadedVariant): Segmenter {
        val probe = Probe(variant)
        val output = probe.run(gpu)
        val same =
            listOf(DelegateKind.XNNPACK, DelegateKind.CPU).firstOrNull { kind ->
                runOn(probe, variant, kind)?.contentEquals(output) == true
            } ?: return gpu
        return Relabelled(gpu, same)
    }

    /** Null where that path cannot run it: there is nothing to compare with then. */
    private fun runOn(probe: Probe, variant: LoadedVariant, kind: DelegateKind): ByteArray? =
        try {
            inner.open(variant, DelegateChoice(kind)).use(probe::run)
        } catch (_: DelegateUnavailable) {
            null
        }
}

private class Relabelled(inner: Segmenter, actual: DelegateKind) : Segmenter by inner {
    override val running =
        inner.running.copy(
            actual = DelegateChoice(actual),
            partitions = null,
            fallback = "its output is bit-identical to that of ${actual.json}: the GPU did not run",
            remark = "",
        )
}
