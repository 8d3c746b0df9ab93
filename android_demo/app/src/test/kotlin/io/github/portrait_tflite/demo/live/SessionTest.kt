package io.github.portrait_tflite.demo.live

import android.os.Handler
import android.os.Looper
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.until
import java.nio.ByteBuffer
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.Semaphore
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

@RunWith(AppRunner::class)
class SessionTest {
    private val closed = AtomicInteger()
    private val opened = AtomicInteger()
    private val threads = CopyOnWriteArrayList<String>()

    /** The real engine; counts what is opened and closed, and by which threads. */
    private val counting =
        SegmenterFactory { variant, choice ->
            opened.incrementAndGet()
            threads += Thread.currentThread().name
            Counted(engine().open(variant, choice))
        }

    private inner class Counted(private val inner: Segmenter) : Segmenter by inner {
        override fun run() {
            threads += Thread.currentThread().name
            inner.run()
        }

        override fun close() {
            closed.incrementAndGet()
            threads += Thread.currentThread().name
            inner.close()
        }
    }

    private val main = Handler(Looper.getMainLooper())
    private val session =
        Session(ModelShelf(RuntimeEnvironment.getApplication()), counting) { main.post(it) }

    private fun open() {
        session.refresh()
        until("the model") { session.state.running != null }
    }

    private fun frame(shot: Shot): Shot {
        val (width, height) = 64 to 48
        shot.frame.resize(width, height)
        shot.frame.y.load(ByteBuffer.wrap(ByteArray(width * height) { it.toByte() }), width, 1)
        shot.frame.u.load(ByteBuffer.wrap(ByteArray(width * height / 2)), width, 2)
        shot.frame.v.load(ByteBuffer.wrap(ByteArray(width * height / 2)), width, 2)
        shot.orientation = Orientation(270, mirrored = true)
        return shot
    }

    @Test
    fun segmentsFramesOnOneThread() {
        open()
        val drawn = CopyOnWriteArrayList<Shot>()
        session.onSegmented = { drawn += it }
        session.submit(frame(session.shots.take()!!))
        until("the matte") { drawn.isNotEmpty() }
        assertEquals(48 * 40, drawn[0].matte.bytes.size)
        assertNotNull(session.clock.read(Stage.INFERENCE))
        session.close()
        until("the end") { closed.get() == 1 }
        assertEquals(setOf("interpreter"), threads.toSet())
    }

    @Test
    fun theNewestFrameWinsAndNoneIsLost() {
        val (began, goOn) = Semaphore(0) to Semaphore(0)
        val held =
            SegmenterFactory { variant, choice ->
                Held(engine().open(variant, choice), began, goOn)
            }
        val session = session(held)
        val drawn = CopyOnWriteArrayList<Byte>()
        session.onSegmented = { shot ->
            drawn += shot.frame.y.bytes[0]
            session.shots.give(shot)
        }
        session.submit(gray(session.shots.take()!!, 10))
        began.acquire()
        // The network is at work on the first, and the camera goes on.
        for (luma in listOf<Byte>(20, 30, 40)) {
            session.submit(gray(session.shots.take()!!, luma))
        }
        assertEquals(3, free(session))
        goOn.release(2)
        until("all shots") { free(session) == 5 }
        assertEquals(listOf<Byte>(10, 40), drawn)
        session.close()
    }

    /** Shots that nobody holds. */
    private fun free(session: Session): Int =
        generateSequence { session.shots.take() }.toList().onEach(session.shots::give).size

    private fun gray(shot: Shot, luma: Byte): Shot {
        frame(shot).frame.y.bytes.fill(luma)
        return shot
    }

    /** Runs no sooner than it is allowed to. */
    private class Held(
        private val inner: Segmenter,
        private val began: Semaphore,
        private val goOn: Semaphore,
    ) : Segmenter by inner {
        override fun run() {
            began.release()
            check(goOn.tryAcquire(2, TimeUnit.MINUTES)) { "nobody lets it go on" }
            inner.run()
        }
    }

    /** A session of another engine, with the packaged model open. */
    private fun session(factory: SegmenterFactory): Session {
        val shelf = ModelShelf(RuntimeEnvironment.getApplication())
        val session = Session(shelf, factory) { main.post(it) }
        session.refresh()
        until("the model") { session.state.running != null }
        return session
    }

    @Test
    fun everyNetworkIsClosedOnce() {
        open()
        session.choose(session.state.options.first())
        until("another") {
            session.state.option == session.state.options.first() &&
                !session.state.opening
        }
        session.close()
        until("the end") { closed.get() == opened.get() }
        assertEquals(2, opened.get())
    }

    @Test
    fun aDelegateThatFailsWhileItRunsIsReportedAndNothingIsChosen() {
        val failing =
            SegmenterFactory { variant, choice -> Failing(engine().open(variant, choice)) }
        val session = session(failing)
        val first = session.state.option
        session.submit(frame(session.shots.take()!!))
        until("the sentence") { session.state.problem != null }
        assertEquals("the driver is gone", session.state.problem?.message)
        assertNull(session.state.running)
        assertNull(session.state.option)
        assertFalse(session.state.opening)
        session.choose(first!!)
        until("the same again") { session.state.running != null }
        assertEquals(first, session.state.option)
        session.close()
    }

    @Test
    fun aDelegateThatFailsWhileItRunsGivesWayToTheOneBefore() {
        val session =
            session { variant, choice ->
                val opened = engine().open(variant, choice)
                if (choice.kind == DelegateKind.CPU) Failing(opened) else opened
            }
        val before = session.state
        val failing = session.state.options.first { it.choice.kind == DelegateKind.CPU }
        session.choose(failing)
        until("the other") { session.state.option == failing && !session.state.opening }
        session.submit(frame(session.shots.take()!!))
        until("the one before") { session.state.option == before.option }
        assertEquals(before.running, session.state.running)
        assertEquals("the driver is gone", session.state.problem?.message)
        val drawn = AtomicBoolean()
        session.onSegmented = { drawn.set(true) }
        session.submit(frame(session.shots.take()!!))
        until("a frame") { drawn.get() }
        session.close()
    }

    private class Failing(inner: Segmenter) : Segmenter by inner {
        override fun run() = throw BadModel("the driver is gone")
    }

    @Test
    fun whatIsAskedForStandsBehindOneFrameAtMost() {
        val runs = AtomicInteger()
        val slow =
            SegmenterFactory { variant, choice ->
                Slow(engine().open(variant, choice), runs)
            }
        val session = session(slow)
        session.onSegmented = session.shots::give
        val filming = AtomicBoolean(true)
        val camera =
            thread {
                while (filming.get()) {
                    session.shots.take()?.let { session.submit(frame(it)) }
                    Thread.sleep(1)
                }
            }
        until("some frames") { runs.get() >= 3 }
        val asked = runs.get()
        val answered = AtomicInteger(-1)
        session.work({ runs.get() }) { answered.set(it.getOrThrow()) }
        until("the answer") { answered.get() >= 0 }
        filming.set(false)
        camera.join()
        assertTrue("${answered.get() - asked} frames before", answered.get() - asked <= 2)
        session.close()
    }

    @Test
    fun framesAfterTheEndAreDropped() {
        open()
        session.close()
        session.submit(frame(session.shots.take()!!))
        session.forget()
    }

    private class Slow(private val inner: Segmenter, private val runs: AtomicInteger) :
        Segmenter by inner {
        override fun run() {
            runs.incrementAndGet()
            Thread.sleep(20)
            inner.run()
        }
    }
}
