package io.github.portrait_tflite.core.model

private const val LARGEST_SIDE = 8192
private val SIDES = 1..LARGEST_SIDE

/** Reads a `spec` of model.json. */
internal fun readSpec(field: JsonField): ModelSpec {
    val channels = field.at("channels").oneOf(Channels.entries) { it.name.lowercase() }
    val range = field.at("input_range")
    val ends = range.items().map { it.double() }
    if (ends.size != 2 || ends[0] == ends[1]) range.refuse("two different numbers")
    return ModelSpec(
        height = field.at("height").int(SIDES),
        width = field.at("width").int(SIDES),
        channels = channels,
        low = ends[0],
        high = ends[1],
        mean = readColours(field.at("mean"), channels),
        std = readStd(field.at("std"), channels),
        fit = field.at("fit").oneOf(Fit.entries) { it.name.lowercase() },
        interpolation =
        field.at("interpolation").oneOf(Interpolation.entries) { it.name.lowercase() },
        output = readOutput(field.at("output")),
        state = field.at("state").orNull()?.let { readStateSpec(it, channels) },
    )
}

/** Reads one number per colour; one for all is repeated. */
private fun readColours(field: JsonField, channels: Channels): List<Float> {
    val values = field.orNull()?.items().orEmpty().map { it.float() }
    if (values.size == 1) return List(channels.depth) { values[0] }
    if (values.size !in setOf(0, channels.depth)) {
        field.refuse("no number, one or ${channels.depth}")
    }
    return values
}

private fun readStd(field: JsonField, channels: Channels): List<Float> {
    val values = readColours(field, channels)
    if (values.any { it == 0f }) field.refuse("without zeros")
    return values
}

private fun readOutput(field: JsonField): OutputSpec =
    OutputSpec(
        index = field.at("index").int(0..Int.MAX_VALUE),
        channel = field.at("channel").int(0..Int.MAX_VALUE),
        activation = field.at("activation").oneOf(Activation.entries) { it.name.lowercase() },
    )

private fun readStateSpec(field: JsonField, channels: Channels): StateSpec =
    StateSpec(
        input = field.at("input").int(0..1),
        channel = field.at("channel").orNull()?.int(0..channels.depth),
        initial = field.at("initial").float(),
        fromOutput = field.at("from_output").int(0..Int.MAX_VALUE),
    )
