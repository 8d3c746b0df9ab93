package io.github.portrait_tflite.demo.benchmark

import android.content.Context
import io.github.portrait_tflite.core.measure.Benchmark
import io.github.portrait_tflite.core.measure.BenchmarkRow
import io.github.portrait_tflite.core.measure.DeviceResult
import io.github.portrait_tflite.core.measure.SelfTest
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.models.ShelfEntry
import io.github.portrait_tflite.demo.phone.PhoneState
import io.github.portrait_tflite.demo.phone.appInfo
import io.github.portrait_tflite.demo.phone.deviceInfo
import io.github.portrait_tflite.demo.sentence
import java.security.MessageDigest

/**
 * Tests and measures a model on this phone.
 *
 * @param onLine takes a line for the screen after each row.
 */
class BenchmarkRun(
    private val context: Context,
    private val factory: SegmenterFactory,
    private val onLine: (String) -> Unit,
) {
    private val wording = RowWording(context.resources)

    /** Does what an order says. A cell that fails says so in its row. */
    fun run(order: BenchmarkOrder): DeviceResult {
        val entry = ModelShelf(context).find(order.model)
        val card = ModelCard.read(entry.source)
        val variants = order.variants.ifEmpty { card.variants.keys.toList() }
        variants.forEach(card::variant) // An unknown one fails now, not after minutes.
        val blank = describe(entry, card)
        return blank.copy(
            selfTest = test(entry, card, variants, order.choices.distinctBy { it.kind }),
            benchmarks = measure(entry, card, variants, order),
        )
    }

    /** Runs the self-test alone. */
    fun selfTest(model: String, choices: List<DelegateChoice>): DeviceResult {
        val entry = ModelShelf(context).find(model)
        val card = ModelCard.read(entry.source)
        val rows = test(entry, card, card.variants.keys.toList(), choices)
        return describe(entry, card).copy(selfTest = rows)
    }

    /** What is to be written where nothing could be run. */
    fun failed(error: String): DeviceResult =
        DeviceResult(
            deviceInfo(),
            appInfo(context),
            modelName = "",
            modelSha256 = "",
            error = error,
        )

    private fun test(
        entry: ShelfEntry,
        card: ModelCard,
        variants: List<String>,
        choices: List<DelegateChoice>,
    ) = SelfTest(entry.source, card, factory).run(variants, choices) { onLine(wording.row(it)) }

    private fun measure(
        entry: ShelfEntry,
        card: ModelCard,
        variants: List<String>,
        order: BenchmarkOrder,
    ): List<BenchmarkRow> =
        Benchmark(
            entry.source,
            card,
            factory,
            PhoneState(context),
            context.resources::sentence,
        ) { CameraStages.open(context, it.spec) }
            .run(variants, order.choices, order.effort) { onLine(wording.row(it)) }

    private fun describe(entry: ShelfEntry, card: ModelCard) =
        DeviceResult(deviceInfo(), appInfo(context), card.name, sha256(entry))

    private fun sha256(entry: ShelfEntry): String {
        val text = entry.source.open(ModelCard.FILE).use { it.readBytes() }
        return MessageDigest.getInstance("SHA-256").digest(text).joinToString("") {
            "%02x".format(it)
        }
    }
}
