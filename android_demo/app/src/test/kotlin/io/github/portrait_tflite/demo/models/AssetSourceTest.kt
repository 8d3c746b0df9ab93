package io.github.portrait_tflite.demo.models

import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.live.PACKAGED
import io.github.portrait_tflite.demo.live.packagedCard
import java.io.File
import java.nio.ByteBuffer
import java.nio.MappedByteBuffer
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

/** Networks are mapped out of the APK, not copied. */
@RunWith(AppRunner::class)
class AssetSourceTest {
    private val source = AssetSource(RuntimeEnvironment.getApplication().resources)

    @Test
    fun mapsWhatIsStored() {
        for (variant in packagedCard().variants.values) {
            val data = LoadedVariant.load(source, variant).data
            assertTrue("${data.javaClass}", data is MappedByteBuffer)
            val file = File(PACKAGED, variant.file.file).readBytes()
            assertEquals(ByteBuffer.wrap(file), data.duplicate())
        }
    }

    @Test
    fun mapsNothingThatIsCompressedOrMissing() {
        assertNull(source.map("model.json"))
        assertNull(source.map("nothing.tflite"))
    }
}
