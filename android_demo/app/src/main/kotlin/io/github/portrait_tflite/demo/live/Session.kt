package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.models.RunOption
import io.github.portrait_tflite.demo.models.ShelfEntry
import io.github.portrait_tflite.demo.models.firstOption
import io.github.portrait_tflite.demo.models.runOptions
import java.io.Closeable
import java.util.concurrent.Executor
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * A model at work: it outlives the activity when the screen is rotated, and is closed once.
 *
 * Call it on the main thread; [submit] on the camera's. The network lives on a thread of its own.
 *
 * @param main runs what the screen is told.
 */
class Session(
    private val shelf: ModelShelf,
    factory: SegmenterFactory,
    private val main: Executor,
) : Closeable {
    val clock = StageClock()
    val shots = ShotPool()

    /** What the screen shows; it is told by [onChange]. */
    var state = SessionState()
        private set

    /** Called on the main thread after every change of [state]. */
    var onChange: () -> Unit = {}

    /** Takes every segmented shot, on the interpreter's thread, and gives it back to [shots]. */
    @Volatile
    var onSegmented: (Shot) -> Unit = shots::give

    /** What the camera still brings after [close] is dropped. */
    private val interpreter =
        ThreadPoolExecutor(
            1,
            1,
            0,
            TimeUnit.SECONDS,
            LinkedBlockingQueue(),
            { Thread(it, "interpreter") },
            ThreadPoolExecutor.DiscardPolicy(),
        )
    private val workbench = Workbench(factory, clock)
    private val newest = Newest<Shot>()

    /** What was opened last. */
    private var current: Opened? = null

    /** What ran before [current], to go back to; null for nothing. */
    private var before: Opened? = null

    /**
     * Lists the models anew; opens the packaged one where none is open, and a folder of the open
     * one's name that was written anew.
     */
    fun refresh() {
        val models = shelf.list()
        change(state.copy(models = models))
        if (state.opening) return
        val open = state.model ?: return choose(models.first())
        models.firstOrNull { it.name == open.name && it != open }?.let(::choose)
    }

    /** Opens a model on its first option; where that fails, the one before stays. */
    fun choose(model: ShelfEntry) =
        open(model) { ModelCard.read(model.source).let { it to firstOption(it) } }

    /** Opens another option of the model; where that fails, the one before stays. */
    fun choose(option: RunOption) {
        val (model, card) = current ?: return
        open(model) { card to option }
    }

    /**
     * Brings a frame of the camera; one that still waits is given back. Any thread.
     *
     * One visit to the interpreter's thread waits at most: it takes the newest frame there is then,
     * and whatever else is asked for stands right behind it.
     */
    fun submit(shot: Shot) {
        val waiting = newest.put(shot)
        shots.give(waiting)
        if (waiting == null) interpreter.execute { newest.take()?.let(::segment) }
    }

    /** Begins a new video: another camera, or the first frame after a pause. */
    fun forget() = interpreter.execute { workbench.forget() }

    /** Runs [work] on the interpreter's thread and brings what it returns to the main thread. */
    fun <T> work(work: (Workbench) -> T, done: (Result<T>) -> Unit) =
        interpreter.execute {
            val result = runCatching { work(workbench) }
            main.execute { done(result) }
        }

    /** Closes the network, after what is running; nothing can be called afterwards. */
    override fun close() {
        onChange = {}
        interpreter.execute { workbench.close() }
        interpreter.shutdown()
    }

    private fun open(
        model: ShelfEntry,
        problem: Throwable? = null,
        pick: () -> Pair<ModelCard, RunOption>,
    ) {
        change(state.copy(opening = true, problem = problem))
        work({ bench ->
            val (card, option) = pick()
            Opened(model, card, option, bench.open(model.source, card, option))
        }) { result -> result.fold(::opened, ::refused) }
    }

    private data class Opened(
        val model: ShelfEntry,
        val card: ModelCard,
        val option: RunOption,
        val running: Running,
    )

    private fun opened(now: Opened) {
        before = current.takeIf { state.running != null }
        current = now
        clock.clear()
        change(
            state.copy(
                model = now.model,
                options = runOptions(now.card),
                option = now.option,
                running = now.running,
                opening = false,
            ),
        )
    }

    private fun refused(error: Throwable) = change(state.copy(opening = false, problem = error))

    private fun segment(shot: Shot) {
        // Whatever a driver throws, and a memory that is full.
        val segmented = runCatching { workbench.segment(shot) }.onFailure(::stopped)
        if (segmented.getOrDefault(false)) onSegmented(shot) else shots.give(shot)
    }

    /** A delegate that fails in the middle: the network is closed. */
    private fun stopped(error: Throwable) {
        workbench.close()
        main.execute { goBack(error) }
    }

    /** Opens what was open before, or nothing where that failed, too; another can be chosen. */
    private fun goBack(error: Throwable) {
        change(state.copy(option = null, running = null, problem = error))
        val (model, card, option) = before ?: return
        before = null
        if (!state.opening) open(model, problem = error) { card to option }
    }

    private fun change(to: SessionState) {
        state = to
        onChange()
    }
}
