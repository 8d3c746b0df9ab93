package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.measure.SelfTest
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The model that the app carries, on the real interpreter. */
class PackagedModelTest {
    @Test
    fun `its masks are the host's`() {
        val source = FolderSource(File("../app/src/main/assets/portrait"))
        val card = ModelCard.read(source)
        // One picture: a desktop runs int8 in slow kernels.
        val one = card.copy(golden = card.golden.take(1))
        val rows =
            SelfTest(source, one, DesktopRuntime.factory())
                .run(card.variants.keys.toList(), listOf(DelegateChoice(DelegateKind.CPU)))
        assertEquals(setOf("int8", "float16"), rows.map { it.variant }.toSet())
        assertTrue(rows.all { it.passed == true }, "$rows")
    }
}
