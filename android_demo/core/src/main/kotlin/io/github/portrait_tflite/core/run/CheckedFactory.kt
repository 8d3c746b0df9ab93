package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.LoadedVariant

/**
 * Never says GPU when the CPU computed: a GPU sums up in another order and in other precision, so
 * that an output with the very bytes of the CPU's is taken for the CPU's. A mask that is the same
 * everywhere may be both's; the fallback says so then.
 *
 * Runs a probe on the GPU and on both CPU paths before a segmenter is handed out.
 *
 * @param nanoTime a clock that only goes forwards; times the GPU's run, which is its first.
 */
class CheckedFactory(
    private val inner: SegmenterFactory,
    private val nanoTime: () -> Long = System::nanoTime,
) : SegmenterFactory {
    override fun open(variant: LoadedVariant, choice: DelegateChoice): Segmenter {
        val opened = inner.open(variant, choice)
        if (opened.running.actual.kind != DelegateKind.GPU) return opened
        return try {
            checked(opened, variant)
        } catch (error: Throwable) {
            opened.close()
            throw error
        }
    }

    private fun checked(gpu: Segmenter, variant: LoadedVariant): Segmenter {
        val probe = Probe(variant, nanoTime)
        val answer = probe.run(gpu)
        val same =
            listOf(DelegateKind.XNNPACK, DelegateKind.CPU).firstOrNull { kind ->
                runOn(probe, variant, kind)?.bytes.contentEquals(answer.bytes)
            }
        val running =
            if (same == null) gpu.running else ranOn(same, gpu.running, answer.isConstant)
        return Checked(gpu, running, answer.tookMs)
    }

    /** Null where that path cannot run it: there is nothing to compare with then. */
    private fun runOn(probe: Probe, variant: LoadedVariant, kind: DelegateKind): Probe.Answer? =
        try {
            inner.open(variant, DelegateChoice(kind)).use(probe::run)
        } catch (_: DelegateUnavailable) {
            null
        }
}

private fun ranOn(actual: DelegateKind, gpu: Running, constant: Boolean): Running {
    val verdict =
        if (constant) {
            "its mask is the same everywhere, which does not show that the GPU ran"
        } else {
            "the GPU did not run"
        }
    return gpu.copy(
        actual = DelegateChoice(actual),
        partitions = null,
        fallback = "its output is bit-identical to that of ${actual.json}: $verdict",
        remark = "",
    )
}

private class Checked(
    inner: Segmenter,
    override val running: Running,
    override val firstMs: Double,
) : Segmenter by inner
