package io.github.portrait_tflite.core

import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.LoadedVariant
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.core.run.Running
import io.github.portrait_tflite.core.run.Segmenter
import io.github.portrait_tflite.core.run.SegmenterFactory
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** The tiny networks that the engine's tests run; here only their folders are read. */
internal object TestModel {
    private val root = File("../engine/src/test/resources/nets")

    fun folder(net: String) = File(root, net)

    fun source(net: String = "rgb_stretch_int8") = FolderSource(folder(net))

    fun card(net: String = "rgb_stretch_int8") = ModelCard.read(source(net))

    fun text(net: String = "rgb_stretch_int8") = File(folder(net), ModelCard.FILE).readText()

    fun load(net: String = "rgb_stretch_int8", variant: String = "int8") =
        LoadedVariant.load(source(net), card(net).variant(variant))
}

/** A network that is a function of its buffers. */
internal class FakeSegmenter(
    private val variant: LoadedVariant,
    override val running: Running,
    private val compute: (FakeSegmenter) -> Unit,
) : Segmenter {
    override val initMs = 7.0
    override val inputs = variant.inputs.map { direct(it.bytes) }
    override val outputs = variant.outputSizes.map(::direct)
    var runs = 0
    var closes = 0

    override fun run() {
        runs++
        compute(this)
    }

    override fun close() {
        closes++
    }
}

/** Opens fakes and keeps them, so that a test can look whether they were closed. */
internal class FakeFactory(
    private val runningOf: (DelegateChoice) -> Running = { Running(it, it, 1, 1, 9) },
    private val compute: (DelegateChoice, FakeSegmenter) -> Unit = { _, _ -> },
) : SegmenterFactory {
    val opened = ArrayList<FakeSegmenter>()

    override fun open(variant: LoadedVariant, choice: DelegateChoice): Segmenter =
        FakeSegmenter(variant, runningOf(choice)) { compute(choice, it) }.also { opened += it }
}

internal fun direct(bytes: Int): ByteBuffer =
    ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
