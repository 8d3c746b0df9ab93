package io.github.portrait_tflite.core.model

import java.nio.ByteBuffer

private const val WORD = 4
private const val LONG = 8

/**
 * A table of a flatbuffer: its fields by their number. A field that is not there reads as 0 or
 * empty; an offset that leads outside throws IndexOutOfBoundsException.
 */
internal class Table(private val data: ByteBuffer, private val at: Int) {
    fun byte(field: Int): Int = place(field)?.let { data[it].toInt() } ?: 0

    fun inner(field: Int): Table? = target(field)?.let { Table(data, it) }

    fun text(field: Int): String {
        val start = target(field) ?: return ""
        val bytes = ByteArray(count(start)) { data[start + WORD + it] }
        return bytes.toString(Charsets.UTF_8)
    }

    fun tables(field: Int): List<Table> =
        items(field, WORD) { Table(data, it + data.getInt(it)) }

    fun ints(field: Int): List<Int> = items(field, WORD) { data.getInt(it) }

    fun floats(field: Int): List<Float> = items(field, WORD) { data.getFloat(it) }

    fun longs(field: Int): List<Long> = items(field, LONG) { data.getLong(it) }

    private fun <T> items(field: Int, size: Int, read: (Int) -> T): List<T> {
        val start = target(field) ?: return emptyList()
        return List(count(start)) { read(start + WORD + it * size) }
    }

    /** Items of a vector; one that claims more than the file holds is damaged. */
    private fun count(start: Int): Int {
        val count = data.getInt(start)
        if (count !in 0..data.limit()) throw IndexOutOfBoundsException("$count items")
        return count
    }

    private fun target(field: Int): Int? = place(field)?.let { it + data.getInt(it) }

    private fun place(field: Int): Int? {
        val layout = at - data.getInt(at)
        val entry = WORD + Short.SIZE_BYTES * field // behind two sizes of two bytes each
        if (entry >= data.getShort(layout)) return null
        val offset = data.getShort(layout + entry).toInt()
        return if (offset == 0) null else at + offset
    }

    companion object {
        /** The outermost table. */
        fun root(data: ByteBuffer): Table = Table(data, data.getInt(0))
    }
}
