package io.github.portrait_tflite.demo.models

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.model.VariantCard
import io.github.portrait_tflite.core.run.DelegateChoice

/** A variant of the model on a delegate. */
data class RunOption(val variant: String, val choice: DelegateChoice)

private val THREADS = listOf(1, 2, 4)

/** All that a model can be run on, in the order of its variants. */
fun runOptions(card: ModelCard): List<RunOption> =
    card.variants.values.flatMap { variant -> choices(variant).map { RunOption(variant.name, it) } }

/** What to begin with: the recommended delegate, XNNPACK first, on as many threads as offered. */
fun firstOption(card: ModelCard): RunOption {
    val options = runOptions(card)
    val recommended = options.filter { card.variant(it.variant).recommended == it.choice.kind }
    return recommended
        .filter { it.choice.kind == DelegateKind.XNNPACK }
        .maxByOrNull { it.choice.threads }
        ?: recommended.firstOrNull()
        ?: options.first()
}

private fun choices(variant: VariantCard): List<DelegateChoice> =
    listOf(DelegateChoice(DelegateKind.CPU)) +
        THREADS.map { DelegateChoice(DelegateKind.XNNPACK, it) } +
        if (forGpu(variant)) listOf(DelegateChoice(DelegateKind.GPU)) else emptyList()

/** The GPU computes in float16: only variants that were made or tested for it are offered there. */
private fun forGpu(variant: VariantCard): Boolean =
    variant.recommended == DelegateKind.GPU || DelegateKind.GPU in variant.tolerance
