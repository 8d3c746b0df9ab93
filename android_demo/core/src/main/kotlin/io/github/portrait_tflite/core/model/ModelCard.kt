package io.github.portrait_tflite.core.model

/**
 * A file that model.json names.
 *
 * @property sha256 in lower-case hexadecimal digits.
 */
data class FileCard(val file: String, val bytes: Long, val sha256: String)

/**
 * How near a delegate must come to the host's mask.
 *
 * @property maxStep the most that a stored number may differ by; null where [leastIou] says it.
 * @property leastIou the least IoU of the masks at 0.5; null where [maxStep] says it.
 */
data class Tolerance(val maxStep: Int?, val leastIou: Double?)

/**
 * One `.tflite` of a model.
 *
 * @property name `int8`, `float16`, ….
 * @property spec the variant's own where it has one, else the model's.
 * @property stateInput what takes the previous mask, where it has an input of its own.
 * @property stateOutput what the next picture is fed with, where it is not the mask itself.
 * @property tolerance by delegate; one that is not there promises nothing.
 * @property golden of the first golden case; null where there is none of it.
 */
data class VariantCard(
    val name: String,
    val file: FileCard,
    val input: TensorCard,
    val output: TensorCard,
    val stateInput: TensorCard?,
    val stateOutput: TensorCard?,
    val recommended: DelegateKind,
    val spec: ModelSpec,
    val tolerance: Map<DelegateKind, Tolerance>,
    val golden: GoldenRun? = null,
)

/**
 * What a variant was fed with and gave on the host.
 *
 * @property inputs by tensor: its stored numbers.
 * @property mask the output's stored numbers.
 */
data class GoldenRun(val inputs: Map<String, FileCard>, val mask: FileCard)

/**
 * A drawn portrait with what every variant made of it.
 *
 * @property picture a PNG.
 * @property runs by variant.
 */
data class GoldenCase(val picture: FileCard, val runs: Map<String, GoldenRun>)

/**
 * model.json, read and checked.
 *
 * @property variants in the file's order, one at least.
 * @property golden in the order in which a network that remembers was fed with them.
 */
data class ModelCard(
    val name: String,
    val licence: String,
    val variants: Map<String, VariantCard>,
    val labels: List<String>,
    val golden: List<GoldenCase>,
) {
    /**
     * Finds a variant.
     *
     * @throws BadModel there is none of that name.
     */
    fun variant(name: String): VariantCard =
        variants[name] ?: throw BadModel(
            "a variant of ${this.name} is required: ${variants.keys.joinToString()}. " +
                "Received: $name.",
        )

    companion object {
        /** The newest schema that this code reads. */
        const val SCHEMA = 1

        /** The name of the file in a folder of assets. */
        const val FILE = "model.json"

        /**
         * Reads the text of a model.json.
         *
         * @throws BadModel it is no JSON, of a newer schema, or a field is missing or wrong.
         */
        fun parse(text: String): ModelCard = parseModelCard(text)

        /**
         * Reads the model.json of [source].
         *
         * @throws BadModel as [parse], or there is none.
         */
        fun read(source: ModelSource): ModelCard =
            parse(source.readText(FILE))
    }
}
