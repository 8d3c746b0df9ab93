package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.model.ModelSource
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Probe
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory

private const val MOST_WARM_UP = 50
private const val NANOS_PER_MS = 1e6
private const val MS_PER_SECOND = 1e3

/**
 * Measures variants on delegates, one cell after the other.
 *
 * @param words puts what [stages] throw into words.
 * @param stages what is timed around the network; null for the network alone.
 */
class Benchmark(
    private val source: ModelSource,
    private val card: ModelCard,
    private val factory: SegmenterFactory,
    private val state: DeviceState,
    private val words: (Throwable) -> String = ::wordsOf,
    private val stages: FrameStagesFactory? = null,
) {
    /**
     * Measures every variant of [variants] on every delegate of [choices]; a cell that fails says
     * so and the others go on.
     *
     * @param onRow called after each cell, on the same thread.
     * @throws InterruptedException the thread was interrupted: within one inference it ends.
     */
    fun run(
        variants: List<String>,
        choices: List<DelegateChoice>,
        effort: Effort,
        onRow: (BenchmarkRow) -> Unit = {},
    ): List<BenchmarkRow> {
        val cells = variants.flatMap { name -> choices.map { name to it } }
        return cells.mapIndexed { number, (name, choice) ->
            if (number > 0) state.pause(effort.coolDownSeconds)
            measure(name, choice, effort).also(onRow)
        }
    }

    private fun measure(name: String, choice: DelegateChoice, effort: Effort): BenchmarkRow {
        val (thermal, batteryC) = state.thermal to state.batteryC
        var row = BenchmarkRow(name, choice.kind, choice.threads)
        val fault = faultOf { row = timed(row, choice, effort) }
        val heat = BeforeAfter(thermal, state.thermal)
        return row.copy(
            thermal = heat,
            batteryC = BeforeAfter(batteryC, state.batteryC),
            warnings = row.warnings + heatWarnings(heat),
            unavailable = fault?.unavailable ?: row.unavailable,
            error = fault?.error.orEmpty(),
        )
    }

    private fun timed(row: BenchmarkRow, choice: DelegateChoice, effort: Effort): BenchmarkRow {
        val variant = LoadedVariant.load(source, card.variant(row.variant))
        factory.open(variant, choice).use { segmenter ->
            val running = segmenter.running
            // Timings of another delegate under this one's name would be a lie.
            if (running.fallback.isNotEmpty()) return row.copy(unavailable = running.fallback)
            Probe(variant).fill(segmenter.inputs)
            val alone = describe(row, series(segmenter, effort))
            return withFrames(alone, variant, segmenter).copy(
                initMs = segmenter.initMs,
                partitions = running.partitions,
                remark = running.remark,
                peakRssMb = state.peakRssMb,
            )
        }
    }

    /**
     * Adds stage times, and a warning that says of which frames. Where they cannot be had, the
     * network's own times stand with a warning.
     */
    private fun withFrames(
        row: BenchmarkRow,
        variant: LoadedVariant,
        segmenter: Segmenter,
    ): BenchmarkRow {
        val factory = stages ?: return row
        return try {
            factory.open(variant.card).use {
                val times = FrameTimer(it, state::nanoTime).run(variant, segmenter)
                row.copy(frameMs = times, warnings = row.warnings + it.remark)
            }
        } catch (stopped: InterruptedException) {
            throw stopped
        } catch (error: Exception) {
            row.withoutFrames(error)
        } catch (error: OutOfMemoryError) {
            row.withoutFrames(error)
        }
    }

    private fun BenchmarkRow.withoutFrames(why: Throwable): BenchmarkRow {
        goOnUnlessStopped()
        return copy(warnings = warnings + "no stage times: ${words(why)}")
    }

    private fun series(segmenter: Segmenter, effort: Effort): Series {
        val firstMs = segmenter.firstMs ?: once(segmenter)
        val warmUp = ArrayList<Double>()
        while (!hasSettled(warmUp) && warmUp.size < MOST_WARM_UP) warmUp += once(segmenter)
        val samples = ArrayList<Double>()
        var totalMs = 0.0
        while (samples.size < effort.runs || totalMs < effort.seconds * MS_PER_SECOND) {
            samples += once(segmenter)
            totalMs += samples.last()
        }
        return Series(firstMs, warmUp, samples)
    }

    private fun once(segmenter: Segmenter): Double {
        goOnUnlessStopped()
        val start = state.nanoTime()
        segmenter.run()
        return (state.nanoTime() - start) / NANOS_PER_MS
    }

    private fun describe(row: BenchmarkRow, series: Series): BenchmarkRow {
        val samples = series.samples.toDoubleArray()
        val latency = Statistics.of(samples)
        return row.copy(
            runs = samples.size,
            warmup = series.warmUp.size,
            latencyMs = latency,
            firstMs = series.firstMs,
            stable = isStable(latency),
            warnings = doubts(samples) + warmUpDoubts(series.warmUp),
            samplesMs = series.samples,
        )
    }

    private class Series(
        val firstMs: Double,
        val warmUp: List<Double>,
        val samples: List<Double>,
    )
}
