package io.github.portrait_tflite.demo.screen

import android.content.res.Resources
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.live.SessionState
import io.github.portrait_tflite.demo.live.Stage
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.models.RunOption
import io.github.portrait_tflite.demo.models.ShelfEntry

/** What the screen says, in the words of the resources. */
class Wording(private val resources: Resources) {
    /** An option, with what the GPU costs in precision. */
    fun option(option: RunOption): String =
        if (option.choice.kind == DelegateKind.GPU) {
            resources.getString(R.string.option_gpu, option.variant)
        } else {
            resources.getString(R.string.option, option.variant, option.choice.toString())
        }

    /** A model's name. */
    fun model(
        entry: ShelfEntry,
    ): String = entry.name.ifEmpty { resources.getString(R.string.packaged_model) }

    /** What was asked, what runs, and what to mind. */
    fun running(state: SessionState): String {
        if (state.opening) return resources.getString(R.string.opening)
        val running = state.running ?: return resources.getString(R.string.nothing_runs)
        val lines =
            listOf(
                resources.getString(
                    R.string.asked,
                    state.option?.variant.orEmpty(),
                    running.asked.toString(),
                ),
                runs(running),
                if (running.remark.isEmpty()) {
                    ""
                } else {
                    resources.getString(
                        R.string.remark,
                        running.remark,
                    )
                },
            )
        return lines.filter(String::isNotEmpty).joinToString("\n")
    }

    private fun runs(running: Running): String {
        val actual = running.actual.toString()
        if (running.fallback.isNotEmpty()) {
            return resources.getString(
                R.string.fallback,
                actual,
                running.fallback,
            )
        }
        return resources.getString(R.string.runs, actual, partitions(running))
    }

    private fun partitions(running: Running): String {
        val count = running.partitions ?: return resources.getString(R.string.partitions_untold)
        return resources.getQuantityString(R.plurals.partitions, count, count, running.ops)
    }

    /** A line per stage that was timed. */
    fun times(clock: StageClock): String {
        val names = resources.getStringArray(R.array.stages)
        val lines =
            Stage.entries.mapNotNull { stage ->
                clock.read(stage)?.let {
                    resources.getString(R.string.time, names[stage.ordinal], it.median, it.p90)
                }
            }
        return lines.joinToString("\n").ifEmpty { resources.getString(R.string.times_none) }
    }
}
