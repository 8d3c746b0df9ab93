package io.github.portrait_tflite.core.model

import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.booleanOrNull
import kotlinx.serialization.json.doubleOrNull
import kotlinx.serialization.json.intOrNull
import kotlinx.serialization.json.longOrNull

private const val SHOWN = 40 // characters of a wrong value

/**
 * A place in model.json, which knows its [path] so that a refusal can name it.
 *
 * @property element what is there; null where nothing is.
 */
internal class JsonField(val path: String, private val element: JsonElement?) {
    val exists: Boolean get() = element != null && element !is JsonNull

    /** A field of an object. */
    fun at(name: String): JsonField =
        JsonField(if (path.isEmpty()) name else "$path.$name", objectOrRefuse()[name])

    /** This field, or null where it is missing. */
    fun orNull(): JsonField? = takeIf { exists }

    /** The fields of an object by name, in the file's order. */
    fun fields(): Map<String, JsonField> =
        objectOrRefuse().keys.associateWith { at(it) }

    /** The items of a list. */
    fun items(): List<JsonField> {
        val items = element as? JsonArray ?: refuse("a list")
        return items.mapIndexed { number, item -> JsonField("$path[$number]", item) }
    }

    fun text(): String = primitive()?.takeIf { it.isString }?.content ?: refuse("a text")

    fun int(): Int = number()?.intOrNull ?: refuse("a whole number")

    fun int(range: IntRange): Int =
        int().takeIf { it in range } ?: refuse("${range.first} to ${range.last}")

    fun long(): Long = number()?.longOrNull ?: refuse("a whole number")

    fun float(): Float = double().toFloat()

    fun double(): Double =
        number()?.doubleOrNull?.takeIf { it.isFinite() } ?: refuse("a number")

    /** One of [values], found by [nameOf]. */
    fun <T> oneOf(values: List<T>, nameOf: (T) -> String): T {
        val found = values.firstOrNull { nameOf(it) == primitive()?.content }
        return found ?: refuse(values.joinToString(" or ", transform = nameOf))
    }

    /** Refuses what is here. */
    fun refuse(required: String): Nothing =
        throw BadModel(
            "${ModelCard.FILE}: $path must be $required. Received: ${shown()}. " +
                "Write the folder again with portrait-tflite convert --assets.",
        )

    private fun objectOrRefuse(): JsonObject = element as? JsonObject ?: refuse("an object")

    private fun primitive(): JsonPrimitive? = (element as? JsonPrimitive)?.takeIf { exists }

    private fun number(): JsonPrimitive? =
        primitive()?.takeIf { !it.isString && it.booleanOrNull == null }

    private fun shown(): String {
        val text = if (exists) element.toString() else "nothing"
        return if (text.length > SHOWN) text.take(SHOWN) + "…" else text
    }
}
