package io.github.portrait_tflite.engine

import java.nio.ByteBuffer
import java.nio.ByteOrder

private const val CONV_2D = 3
private const val NEWER: Byte = 120
private const val CODES = 1 // place of operator_codes in TFLite's schema.fbs
private const val VERSION = 2 // place of version in OperatorCode
private const val BUILTIN = 3 // place of builtin_code in OperatorCode

/** Copies a model and says of its convolutions that they are of a version nobody has. */
fun newerOps(model: ByteBuffer): ByteBuffer {
    val data = ByteBuffer.allocateDirect(model.limit()).order(ByteOrder.LITTLE_ENDIAN)
    data.put(model.duplicate().also { it.rewind() })
    data.rewind()
    val vector = data.follow(checkNotNull(data.field(data.getInt(0), CODES)))
    for (number in 1..data.getInt(vector)) {
        val code = data.follow(vector + 4 * number)
        val builtin = data.field(code, BUILTIN)?.let(data::getInt)
        val version = data.field(code, VERSION)
        if (builtin == CONV_2D && version != null) data.put(version, NEWER)
    }
    return data.order(ByteOrder.nativeOrder())
}

private fun ByteBuffer.follow(at: Int): Int = at + getInt(at)

private fun ByteBuffer.field(table: Int, number: Int): Int? {
    val layout = table - getInt(table)
    val entry = 4 + 2 * number
    if (entry >= getShort(layout)) return null
    return getShort(layout + entry).toInt().takeIf { it != 0 }?.let { table + it }
}
