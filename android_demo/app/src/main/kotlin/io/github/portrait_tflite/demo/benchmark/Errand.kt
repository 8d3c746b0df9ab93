package io.github.portrait_tflite.demo.benchmark

import java.util.concurrent.atomic.AtomicReference

/** Work of minutes. */
interface Work {
    /** Does it, on a thread of its own, which is interrupted to end it. */
    fun run()

    /** Says that it will not be finished; nothing where it is over. Main thread. */
    fun breakOff() = Unit
}

/**
 * Work on a thread of its own and the lines that it says. It outlives the activity that shows it,
 * and there is one at a time in the app: two would measure each other.
 */
class Errand {
    private val lines = ArrayList<String>()
    private var listener: (String) -> Unit = {}
    private var work: Work? = null
    private var thread: Thread? = null

    /** Adds a line; any thread. */
    @Synchronized
    fun say(line: String) {
        lines += line
        listener(line)
    }

    /** Tells what was said, and what will be; null tells nobody any more. */
    @Synchronized
    fun tell(listener: ((String) -> Unit)?) {
        this.listener = listener ?: {}
        lines.forEach(this.listener)
    }

    /** Starts [work]; false where another is at work in the app. Main thread. */
    fun start(work: Work): Boolean {
        val thread =
            Thread {
                try {
                    work.run()
                } finally {
                    atWork.set(null)
                }
            }
        if (!atWork.compareAndSet(null, thread)) return false
        this.work = work
        this.thread = thread
        thread.start()
        return true
    }

    /** Ends the work that was started here, and lets it say so; nothing where it is over. */
    fun breakOff() {
        work?.breakOff()
        thread?.interrupt()
    }

    private companion object {
        val atWork = AtomicReference<Thread?>()
    }
}
