package io.github.portrait_tflite.engine

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.run.DelegateChoice
import java.io.Closeable
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.gpu.GpuDelegate
import org.tensorflow.lite.gpu.GpuDelegateFactory

/**
 * A delegate made ready for one interpreter; it is closed after that.
 *
 * @property options for the interpreter.
 * @property remark what to mind; "" for nothing.
 */
internal class DelegateSetup(
    val options: Interpreter.Options,
    val remark: String = "",
    private val delegate: Delegate? = null,
) : Closeable {
    override fun close() {
        (delegate as? AutoCloseable)?.close()
    }
}

/** Makes the delegate that was chosen. */
internal fun setupFor(choice: DelegateChoice): DelegateSetup =
    when (choice.kind) {
        DelegateKind.CPU -> DelegateSetup(threaded(choice).setUseXNNPACK(false))
        DelegateKind.XNNPACK -> DelegateSetup(threaded(choice).setUseXNNPACK(true))
        DelegateKind.GPU -> gpu()
    }

private fun threaded(choice: DelegateChoice): Interpreter.Options =
    Interpreter.Options().setNumThreads(choice.threads)

private fun gpu(): DelegateSetup {
    val wanted =
        GpuDelegateFactory.Options()
            .setPrecisionLossAllowed(true)
            .setInferencePreference(
                GpuDelegateFactory.Options.INFERENCE_PREFERENCE_SUSTAINED_SPEED,
            )
    val delegate = GpuDelegate(wanted)
    return DelegateSetup(
        Interpreter.Options().addDelegate(delegate),
        remark = "computes in float16: some precision is lost",
        delegate = delegate,
    )
}
