package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.GoldenRun
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.core.model.readFile
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.core.run.fillGolden

private const val NO_NUMBERS =
    "a mask of numbers is required. Received: NaN in it. Choose another delegate or variant."

/** Runs golden inputs through variants and delegates and holds the masks against the host's. */
class SelfTest(
    private val source: ModelSource,
    private val card: ModelCard,
    private val factory: SegmenterFactory,
) {
    /**
     * Tests every variant of [variants] on every delegate of [choices]; never throws for a model or
     * a delegate that fails: the row says it.
     *
     * @param onRow called after each row, on the same thread.
     * @throws InterruptedException the thread was interrupted.
     */
    fun run(
        variants: List<String>,
        choices: List<DelegateChoice>,
        onRow: (SelfTestRow) -> Unit = {},
    ): List<SelfTestRow> {
        val rows = ArrayList<SelfTestRow>()
        for (name in variants) {
            for (choice in choices) {
                test(name, choice) { row ->
                    rows += row
                    onRow(row)
                }
            }
        }
        return rows
    }

    private fun test(name: String, choice: DelegateChoice, onRow: (SelfTestRow) -> Unit) {
        val blank = SelfTestRow(name, choice.kind, choice.threads)
        val fault =
            faultOf {
                val variant = LoadedVariant.load(source, card.variant(name))
                val runs = goldenOf(name)
                factory.open(variant, choice).use { segmenter ->
                    runs.forEach { (number, run) ->
                        onRow(compare(blank, variant, segmenter, number, run))
                    }
                }
            } ?: return
        val (unavailable, error) = fault
        onRow(blank.copy(unavailable = unavailable, error = error, passed = fault.passed))
    }

    private fun compare(
        blank: SelfTestRow,
        variant: LoadedVariant,
        segmenter: Segmenter,
        number: Int,
        run: GoldenRun,
    ): SelfTestRow {
        goOnUnlessStopped()
        fillGolden(variant, run, segmenter.inputs)
        segmenter.run()
        val output = segmenter.outputs[variant.maskOutput]
        val golden = readMask(variant, run)
        val found = MaskComparison(variant.card).compare(output, golden)
        val ran = segmenter.running
        // What ran is held to its own promise, and what was asked for is not "passed" by another.
        val tolerance = variant.card.tolerance[ran.asked.kind].takeIf { ran.fallback.isEmpty() }
        val row = blank.copy(golden = number, iou = found.iou, unavailable = ran.fallback)
        if (found.maxStep.isNaN()) return row.copy(passed = false, error = NO_NUMBERS)
        return row.copy(maxStep = found.maxStep, passed = tolerance?.let(found::within))
    }

    private fun readMask(variant: LoadedVariant, run: GoldenRun) =
        readFile(source, run.mask).also {
            if (it.remaining() != variant.card.output.bytes) {
                throw BadModel(
                    "a golden mask of ${variant.card.output.bytes} bytes is required. " +
                        "Received: ${it.remaining()}. Write the folder again with " +
                        "portrait-tflite convert --assets.",
                )
            }
        }

    private fun goldenOf(name: String): List<Pair<Int, GoldenRun>> {
        val runs =
            card.golden.mapIndexedNotNull { number, case -> case.runs[name]?.let { number to it } }
        if (runs.isEmpty()) {
            throw BadModel(
                "golden inputs of $name are required in ${ModelCard.FILE}. Received: none. " +
                    "Write the folder with portrait-tflite convert --assets.",
            )
        }
        return runs
    }
}
