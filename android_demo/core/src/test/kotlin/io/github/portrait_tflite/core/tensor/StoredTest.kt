package io.github.portrait_tflite.core.tensor

import io.github.portrait_tflite.core.model.ElementType
import io.github.portrait_tflite.core.model.TensorCard
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource

/** Rounding is the conversion's: halves to one side, then the zero point, then the type's range. */
class StoredTest {
    @ParameterizedTest
    @CsvSource(
        "0.49999997, -127",
        "0.498, -128",
        "0.5, -127",
        "-0.5, -128",
        "1.5, -126",
        "300, 127",
        "-9, -128",
    )
    fun `int8 with the zero point -128`(value: Float, stored: Int) {
        assertEquals(stored, card(ElementType.INT8, scale = 1f, zeroPoint = -128).toStored(value))
    }

    @ParameterizedTest
    @CsvSource("-0.25, -1", "-0.2, 0", "0.25, 0", "0.251, 1", "-0.75, -2")
    fun `halves go down where zero has more steps below`(value: Float, stored: Int) {
        assertEquals(stored, card(ElementType.INT8, scale = 0.5f, zeroPoint = 0).toStored(value))
    }

    @ParameterizedTest
    @CsvSource("INT8, -1, -128", "INT8, 0, -128", "UINT8, 127, 0", "UINT8, 128, 0")
    fun `the bytes of -1 to 1 stay apart`(type: ElementType, zeroPoint: Int, black: Int) {
        val card = card(type, scale = 2f / 255, zeroPoint = zeroPoint)
        val stored = (0..255).map { card.toStored(it * (2f / 255) - 1f) }
        assertEquals((black..black + 255).toList(), stored)
    }

    @ParameterizedTest
    @CsvSource("0, 0", "1, 255", "0.502, 128", "2, 255", "-1, 0")
    fun `uint8 keeps its range`(value: Float, stored: Int) {
        val card = card(ElementType.UINT8, scale = 1f / 255, zeroPoint = 0)
        assertEquals(stored, card.toStored(value))
        val byte = stored.toByte()
        assertEquals(stored / 255f, card.toReal(byte), 1e-6f)
    }

    private fun card(type: ElementType, scale: Float, zeroPoint: Int) =
        TensorCard("image", listOf(1), type, scale, zeroPoint)
}
