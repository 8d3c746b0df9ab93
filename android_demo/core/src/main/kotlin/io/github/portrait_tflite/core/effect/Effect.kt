package io.github.portrait_tflite.core.effect

/** What is shown of a frame and its mask; [json] is its name in files and intents. */
enum class Effect(val json: String) {
    /** The mask itself, white on black. */
    MASK("mask"),

    /** The person alone, the rest transparent. */
    CUTOUT("cutout"),

    /** The person before the blurred background. */
    BLUR("blur"),

    /** The person before a picture. */
    BACKGROUND("background"),

    /** The person before one colour. */
    COLOR("color"),
    ;

    companion object {
        /** Finds an effect by its [json] name; null where there is none. */
        fun of(name: String): Effect? = entries.firstOrNull { it.json == name }
    }
}
