package io.github.portrait_tflite.core.model

import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject

private val SHA256 = Regex("[0-9a-f]{64}")

/** Reads model.json; see [ModelCard.parse]. */
internal fun parseModelCard(text: String): ModelCard {
    val root = JsonField("", parseObject(text))
    requireSchema(root.at("schema"))
    val network = readSpec(root.at("spec"))
    val variants =
        root.at("variants").fields().mapValues { (name, field) ->
            readVariant(name, field, network)
        }
    if (variants.isEmpty()) root.at("variants").refuse("one variant or more")
    val golden = root.at("golden").orNull()?.items().orEmpty().map { readGolden(it, variants) }
    return ModelCard(
        name = root.at("name").text(),
        licence = root.at("licence").orNull()?.text().orEmpty(),
        variants =
        variants.mapValues { (name, variant) ->
            variant.copy(golden = golden.firstNotNullOfOrNull { it.runs[name] })
        },
        labels = root.at("labels").orNull()?.items().orEmpty().map { it.text() },
        golden = golden,
    )
}

private fun parseObject(text: String): JsonObject {
    val reason =
        try {
            val element = Json.parseToJsonElement(text)
            if (element is JsonObject) return element
            "no object"
        } catch (error: SerializationException) {
            error.message.orEmpty().lineSequence().first()
        }
    throw BadModel(
        "${ModelCard.FILE} must be a JSON object. Received: $reason. " +
            "Copy the whole folder that portrait-tflite convert --assets wrote.",
    )
}

private fun requireSchema(field: JsonField) {
    val schema = field.int()
    if (schema == ModelCard.SCHEMA) return
    val advice = if (schema > ModelCard.SCHEMA) "Update the app." else "Convert the model again."
    throw BadModel(
        "${ModelCard.FILE} of schema ${ModelCard.SCHEMA} is required. Received: schema $schema. " +
            advice,
    )
}

private fun readVariant(name: String, field: JsonField, network: ModelSpec): VariantCard {
    val spec = field.at("spec").orNull()?.let(::readSpec) ?: network
    return VariantCard(
        name = name,
        file = readFile(field),
        input = readTensor(field.at("input")).also { requirePicture(it, spec, field.at("input")) },
        output = readTensor(field.at("output")).also { requireMask(it, spec, field.at("output")) },
        stateInput = field.at("state_input").orNull()?.let(::readState),
        stateOutput = field.at("state_output").orNull()?.let(::readState),
        recommended = field.at("recommended_delegate").oneOf(DelegateKind.entries) { it.json },
        spec = spec,
        tolerance = readTolerances(field.at("tolerance")),
    ).also { requireState(it, field) }
}

private fun readFile(field: JsonField): FileCard {
    val name = field.at("file").text()
    // A name only: a pushed model.json must not reach outside of its folder.
    val plain = name.isNotEmpty() && name.none { it in "/\\" } && !name.startsWith(".")
    if (!plain) field.at("file").refuse("the name of a file beside it")
    val digest = field.at("sha256").text()
    if (!SHA256.matches(digest)) field.at("sha256").refuse("64 hexadecimal digits")
    return FileCard(name, field.at("bytes").long(), digest)
}

private fun readTolerances(field: JsonField): Map<DelegateKind, Tolerance> {
    val given = field.orNull()?.fields().orEmpty()
    return given.entries.associate { (name, one) ->
        val kind = DelegateKind.of(name) ?: one.refuse("about cpu, xnnpack or gpu")
        val step = one.at("max_step").orNull()?.int()
        val iou = one.at("least_iou").orNull()?.double()
        if (step == null && iou == null) one.refuse("a max_step or a least_iou")
        kind to Tolerance(step, iou)
    }
}

private fun readGolden(field: JsonField, variants: Map<String, VariantCard>): GoldenCase {
    val runs =
        field.at("variants").fields().mapValues { (name, run) ->
            if (name !in variants) run.refuse("of a variant above")
            GoldenRun(run.at("inputs").fields().mapValues { readFile(it.value) }, readMask(run))
        }
    return GoldenCase(readFile(field.at("picture")), runs)
}

private fun readMask(run: JsonField): FileCard = readFile(run.at("mask"))
