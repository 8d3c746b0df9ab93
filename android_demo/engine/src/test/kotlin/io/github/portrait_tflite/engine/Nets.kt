package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelCard
import java.io.File
import javax.imageio.ImageIO

/** The folders of assets that scripts/android/reference_vectors.py writes. */
object Nets {
    private val root = File("src/test/resources/nets")

    val names: List<String> = checkNotNull(root.list()).sorted()

    fun source(net: String) = FolderSource(File(root, net))

    fun card(net: String): ModelCard = ModelCard.read(source(net))

    fun load(net: String, variant: String): LoadedVariant =
        LoadedVariant.load(source(net), card(net).variant(variant))

    /** A picture of a net's folder. */
    fun picture(net: String, file: String): ArgbFrame {
        val image = ImageIO.read(File(File(root, net), file))
        val (width, height) = image.width to image.height
        return ArgbFrame(width, height, image.getRGB(0, 0, width, height, null, 0, width))
    }

    /** Raw bytes of a net's folder. */
    fun bytes(net: String, file: String): ByteArray = File(File(root, net), file).readBytes()
}
