package io.github.portrait_tflite.core

import java.io.File
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Packages depend on those before them alone: there is no cycle, and one reads from the bottom. */
class LayersTest {
    @Test
    fun `packages depend on those before them alone`() {
        val order =
            "model frame resize tensor mask input effect run measure".split(" ")
        assertEquals(order.sorted(), folders().map { it.name }.sorted())
        val upwards =
            folders().flatMap { folder ->
                imported(folder)
                    .filter { order.indexOf(it) > order.indexOf(folder.name) }
                    .map { "${folder.name} imports $it" }
            }
        assertEquals(emptyList<String>(), upwards)
    }

    @Test
    fun `nothing of Android is imported`() {
        val lines = folders().flatMap(::lines)
        assertTrue(lines.size > folders().size)
        assertEquals(
            emptyList<String>(),
            lines.filter {
                Regex("^import (android|org.tensorflow)") in
                    it
            },
        )
    }

    private fun imported(folder: File) =
        lines(folder).mapNotNull { ours.find(it)?.groupValues?.get(1) }.toSet()

    private fun lines(folder: File) =
        checkNotNull(folder.listFiles()).flatMap {
            it.readLines()
        }.filter { it.startsWith("import") }

    private fun folders() =
        checkNotNull(File("src/main/kotlin/io/github/portrait_tflite/core").listFiles()).toList()

    private companion object {
        val ours = Regex("""^import io\.github\.portrait_tflite\.core\.(\w+)\.""")
    }
}
