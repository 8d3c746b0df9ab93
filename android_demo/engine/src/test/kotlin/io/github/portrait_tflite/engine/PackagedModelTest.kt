package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.measure.SelfTest
import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import java.io.File
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeFalse
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.DynamicTest.dynamicTest
import org.junit.jupiter.api.TestFactory

/** Whichever model the app carries, on the real interpreter. */
class PackagedModelTest {
    private val source = FolderSource(File("../app/src/main/assets/portrait"))
    private val card = ModelCard.read(source)

    @TestFactory
    fun `its masks are the host's`(): List<DynamicTest> =
        card.variants.keys.map { dynamicTest(it) { assertMasks(it) } }

    private fun assertMasks(variant: String) {
        // One picture: a desktop runs int8 in slow kernels.
        val one = card.copy(golden = card.golden.take(1))
        val row =
            SelfTest(source, one, DesktopRuntime.factory())
                .run(listOf(variant), listOf(DelegateChoice(DelegateKind.CPU))).single()
        // The desktop's runtime is older than the app's.
        assumeFalse("a runtime that knows" in row.error) { row.error }
        assertTrue(row.passed == true, "$row")
    }
}
