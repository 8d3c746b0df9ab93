package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.mask.Mask
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertSame
import org.junit.Test

class HandoverTest {
    @Test
    fun theNewestReplacesWhatNobodyTook() {
        val newest = Newest<String>()
        assertNull(newest.put("old"))
        assertEquals("old", newest.put("new"))
        assertEquals("new", newest.take())
        assertNull(newest.take())
    }

    @Test
    fun aPoolGivesNoMoreThanItHas() {
        val pool = ShotPool(count = 1)
        val shot = pool.take()
        assertNull(pool.take())
        pool.give(shot)
        pool.give(null)
        assertSame(shot, pool.take())
    }

    @Test
    fun theClockKeepsTheLastHundred() {
        val clock = StageClock()
        assertNull(clock.read(Stage.CAMERA))
        repeat(100) { clock.record(Stage.CAMERA, 1000.0) }
        repeat(100) { clock.record(Stage.CAMERA, it.toDouble()) }
        assertEquals(49.5, clock.read(Stage.CAMERA)!!.median, 1e-9)
        assertEquals(89.1, clock.read(Stage.CAMERA)!!.p90, 1e-9)
        clock.clear()
        assertNull(clock.read(Stage.CAMERA))
    }

    @Test
    fun aMatteRoundsToBytes() {
        val spec = packagedCard().variants.getValue("int8").spec
        val matte = Matte().apply { load(Mask(2, 1, floatArrayOf(0.5f, 1f)), spec) }
        assertEquals(listOf(128, 255), matte.bytes.map { it.toInt() and 0xff })
    }
}
