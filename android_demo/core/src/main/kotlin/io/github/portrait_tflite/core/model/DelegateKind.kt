package io.github.portrait_tflite.core.model

/** What runs a network; [json] is its name in files and intents. */
enum class DelegateKind(val json: String) {
    /** The runtime's built-in kernels, without XNNPACK. */
    CPU("cpu"),
    XNNPACK("xnnpack"),
    GPU("gpu"),
    ;

    companion object {
        /** Finds a kind by its [json] name; null where there is none. */
        fun of(name: String): DelegateKind? = entries.firstOrNull { it.json == name }
    }
}
