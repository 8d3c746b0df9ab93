package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.run.CheckedFactory
import io.github.portrait_tflite.core.run.SegmenterFactory
import org.tensorflow.lite.TensorFlowLite

/**
 * Runs networks with the TFLite interpreter; says GPU only where the GPU computed.
 *
 * @param readLog returns the lines that the runtime has logged in this process, in which it says
 *   how many ops a delegate took; nothing where there is no log.
 */
class TfliteFactory(readLog: () -> List<String> = { emptyList() }) :
    SegmenterFactory by CheckedFactory(InterpreterFactory(readLog)) {
    companion object {
        /** The version of the runtime; "" where its library cannot be loaded. */
        fun runtimeVersion(): String =
            try {
                TensorFlowLite.runtimeVersion()
            } catch (_: LinkageError) {
                ""
            }
    }
}
