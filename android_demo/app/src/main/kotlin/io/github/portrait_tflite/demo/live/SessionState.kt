package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.demo.models.RunOption
import io.github.portrait_tflite.demo.models.ShelfEntry

/**
 * What the screen shows of a session.
 *
 * @property models that can be chosen.
 * @property model that was opened last; null before the first.
 * @property options of [model].
 * @property option that is open; null where no network is.
 * @property running what was asked and what runs; null where no network is open.
 * @property opening whether another network is being opened.
 * @property problem what failed last; null for nothing.
 */
data class SessionState(
    val models: List<ShelfEntry> = emptyList(),
    val model: ShelfEntry? = null,
    val options: List<RunOption> = emptyList(),
    val option: RunOption? = null,
    val running: Running? = null,
    val opening: Boolean = false,
    val problem: Throwable? = null,
)
