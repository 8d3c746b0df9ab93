package io.github.portrait_tflite.demo.live

import android.os.Handler
import android.os.Looper
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.models.ModelShelf
import io.github.portrait_tflite.demo.phone.engine
import io.github.portrait_tflite.demo.until
import java.nio.ByteBuffer
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
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
        assertEquals(256 * 256, drawn[0].matte.bytes.size)
        assertNotNull(session.clock.read(Stage.INFERENCE))
        session.close()
        until("the end") { closed.get() == 1 }
        assertEquals(setOf("interpreter"), threads.toSet())
    }

    @Test
    fun theNewestFrameWinsAndNoneIsLost() {
        open()
        val drawn = AtomicInteger()
        session.onSegmented = { shot ->
            drawn.incrementAndGet()
            session.shots.give(shot)
        }
        var left = 0
        repeat(50) { session.shots.take()?.let { session.submit(frame(it)) } ?: left++ }
        until("all shots") {
            List(5) { session.shots.take() }.also { it.forEach(session.shots::give) }.all {
                it !=
                    null
            }
        }
        assertTrue("${drawn.get()} drawn", drawn.get() in 1 until 50)
        session.close()
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
    fun aDelegateThatFailsWhileItRunsIsReported() {
        val failing =
            SegmenterFactory { variant, choice -> Failing(engine().open(variant, choice)) }
        val session =
            Session(ModelShelf(RuntimeEnvironment.getApplication()), failing) { main.post(it) }
        session.refresh()
        until("the model") { session.state.running != null }
        session.submit(frame(session.shots.take()!!))
        until("the sentence") { session.state.problem != null }
        assertEquals("the driver is gone", session.state.problem?.message)
        assertEquals(null, session.state.running)
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
        val session =
            Session(ModelShelf(RuntimeEnvironment.getApplication()), slow) { main.post(it) }
        session.refresh()
        until("the model") { session.state.running != null }
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
