package io.github.portrait_tflite.demo.camera

import android.util.Size
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.demo.AppRunner
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test
import org.junit.runner.RunWith

@RunWith(AppRunner::class)
class TurningTest {
    @Test
    fun aFrontCameraIsMirroredAndTurnsWithTheScreen() {
        assertEquals(Orientation(270, mirrored = true), uprightOrientation(270, 0, front = true))
        assertEquals(Orientation(0, mirrored = true), uprightOrientation(270, 90, front = true))
    }

    @Test
    fun aBackCameraTurnsAgainstTheScreen() {
        assertEquals(Orientation(90), uprightOrientation(90, 0, front = false))
        assertEquals(Orientation(0), uprightOrientation(90, 90, front = false))
        assertEquals(Orientation(270), uprightOrientation(90, 180, front = false))
    }

    @Test
    fun takesTheLargestSizeThatIsNotTooLarge() {
        val sizes = listOf(Size(640, 480), Size(1280, 960), Size(1920, 1080), Size(1280, 720))
        assertEquals(Size(1280, 960), chooseSize(sizes))
        assertEquals(Size(4000, 3000), chooseSize(listOf(Size(4000, 3000), Size(8000, 6000))))
        assertNull(chooseSize(emptyList()))
    }
}
