package io.github.portrait_tflite.demo.picture

import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.demo.gl.Place
import io.github.portrait_tflite.demo.gl.centred
import org.junit.Assert.assertEquals
import org.junit.Test

class PictureReaderTest {
    @Test
    fun readsWhatExifSays() {
        assertEquals(Orientation(), exifOrientation(0))
        assertEquals(Orientation(0, mirrored = true), exifOrientation(2))
        assertEquals(Orientation(90, mirrored = true), exifOrientation(5))
        assertEquals(Orientation(90), exifOrientation(6))
        assertEquals(Orientation(270), exifOrientation(8))
    }

    @Test
    fun decodesNoMoreThanIsNeeded() {
        assertEquals(1, reduction(1280, 720))
        assertEquals(2, reduction(3000, 4000))
        assertEquals(4, reduction(8000, 6000))
    }

    @Test
    fun centresAPictureInAView() {
        assertEquals(Place(0, 50, 300, 400), centred(480, 640, 300, 500))
        assertEquals(Place(100, 0, 300, 400), centred(480, 640, 500, 400))
    }
}
