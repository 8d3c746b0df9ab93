package io.github.portrait_tflite.core.model

private const val LARGEST_SIDE = 8192

/** Reads an `input` or `output` of model.json. */
internal fun readTensor(field: JsonField): TensorCard {
    val type = field.at("dtype").oneOf(ElementType.entries) { it.json }
    val scale = field.at("scale").float()
    if (type != ElementType.FLOAT32 && scale <= 0) {
        field.at("scale").refuse("above 0 for ${type.json}")
    }
    val zeroPoint = field.at("zero_point").int(type.lowest..type.highest)
    val shape = field.at("shape").items().map { it.int(1..LARGEST_SIDE) }
    return TensorCard(field.at("name").text(), shape, type, scale, zeroPoint)
}

/** Reads the tensor of a previous mask. */
internal fun readState(field: JsonField): TensorCard {
    val state = readTensor(field)
    if (state.maskSides()?.third != 1) field.at("shape").refuse("[1, height, width, 1]")
    return state
}

/** Refuses an input that is no picture of [spec]. */
internal fun requirePicture(input: TensorCard, spec: ModelSpec, field: JsonField) {
    val required = listOf(1, spec.height, spec.width, spec.depth)
    if (input.shape != required) field.at("shape").refuse("$required as the spec says")
}

/** Refuses an output that holds no mask with the person's channel. */
internal fun requireMask(output: TensorCard, spec: ModelSpec, field: JsonField) {
    val sides = output.maskSides() ?: field.at("shape").refuse("[1, height, width, channels]")
    if (spec.output.channel >= sides.third) {
        field.at("shape").refuse("of ${spec.output.channel + 1} channels or more as the spec says")
    }
}

/** Refuses a variant whose tensors for the previous mask are not what its spec says. */
internal fun requireState(card: VariantCard, field: JsonField) {
    val state = card.spec.state
    val required = state != null && state.channel == null
    if (required != (card.stateInput != null)) {
        field.at("state_input").refuse(if (required) "there as the spec says" else "left out")
    }
    if (state == null) return
    val other = state.fromOutput != card.spec.output.index
    if (other != (card.stateOutput != null)) {
        field.at("state_output").refuse(if (other) "there as the spec says" else "left out")
    }
}

/** Height, width and channels of a mask; null where the shape is none of a mask. */
internal fun TensorCard.maskSides(): Triple<Int, Int, Int>? =
    when {
        shape.size !in 3..4 || shape[0] != 1 -> null
        shape.size == 3 -> Triple(shape[1], shape[2], 1)
        else -> Triple(shape[1], shape[2], shape[3])
    }
