package io.github.portrait_tflite.core.run

import io.github.portrait_tflite.core.model.BadModel
import io.github.portrait_tflite.core.model.LoadedVariant
import java.io.Closeable
import java.nio.ByteBuffer

/**
 * A network that is ready to run. Use it on the thread that opened it, and close it there once;
 * closing again does nothing.
 */
interface Segmenter : Closeable {
    /** What was asked for, and what runs. */
    val running: Running

    /** What preparing the file on the delegate took, in ms. */
    val initMs: Double

    /**
     * What the first inference took, in ms, where opening has run it to check the delegate; null
     * where none was run.
     */
    val firstMs: Double? get() = null

    /** One direct buffer in the machine's byte order per input of the file, filled before [run]. */
    val inputs: List<ByteBuffer>

    /** One per output of the file, filled by [run]. */
    val outputs: List<ByteBuffer>

    /**
     * Runs the network once.
     *
     * @throws DelegateUnavailable the delegate gave up.
     */
    fun run()
}

/** Makes segmenters; the engine's is the real one. */
fun interface SegmenterFactory {
    /**
     * Opens a variant on a delegate.
     *
     * @throws BadModel the runtime cannot run the file at all.
     * @throws DelegateUnavailable the delegate cannot run it here; another may.
     */
    fun open(variant: LoadedVariant, choice: DelegateChoice): Segmenter
}
