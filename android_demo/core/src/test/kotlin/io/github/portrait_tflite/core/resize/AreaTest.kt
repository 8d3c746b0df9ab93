package io.github.portrait_tflite.core.resize

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.core.frame.PixelRowsCache
import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.model.Fit
import io.github.portrait_tflite.core.model.Interpolation
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource

/** Area resizing of two rows of 0, 100, 200; the numbers are cv2.resize's with INTER_AREA. */
class AreaTest {
    private val frame =
        ArgbFrame(
            3,
            2,
            IntArray(6) {
                (0 until 3).fold(0) { gray, _ -> gray shl 8 or it % 3 * 100 }
            },
        )

    @ParameterizedTest
    @CsvSource(
        "5, 2, 0 33 100 167 200", // enlarged along both sides or one
        "4, 2, 0 67 133 200",
        "2, 3, 33 167",
        "3, 1, 0 100 200", // reduced
        "2, 1, 33 167",
        "1, 1, 100",
    )
    fun `a row is OpenCV's`(width: Int, height: Int, expected: String) {
        val rows = ArrayList<List<Int>>()
        val at = Placement.of(Fit.STRETCH, frame.width, frame.height, width, height)
        val source = PixelRowsCache().of(frame, Orientation())
        RowResampler.of(Interpolation.AREA, at).run(
            source,
            sink = { _, rgb -> rows += rgb.filterIndexed { index, _ -> index % 3 == 1 } },
        )
        assertEquals(List(height) { expected.split(" ").map(String::toInt) }, rows)
    }
}
