package io.github.portrait_tflite.core.frame

private const val OPAQUE = 0xff shl 24

/** Turns a frame upright, at its own size: opaque packed pixels. */
fun Frame.upright(orientation: Orientation): ArgbFrame {
    val rows = PixelRowsCache().of(this, orientation)
    val columns = IntArray(rows.width) { it }
    val rgb = IntArray(3 * rows.width)
    val pixels = IntArray(rows.width * rows.height)
    for (row in 0 until rows.height) {
        rows.read(row, columns, rgb)
        packRow(rgb, pixels, row * rows.width)
    }
    return ArgbFrame(rows.width, rows.height, pixels)
}

/** Packs three numbers 0-255 per pixel into [pixels] from [start] on. */
internal fun packRow(rgb: IntArray, pixels: IntArray, start: Int) {
    for (pixel in 0 until rgb.size / 3) {
        val at = 3 * pixel
        pixels[start + pixel] = OPAQUE or (rgb[at] shl 16) or (rgb[at + 1] shl 8) or rgb[at + 2]
    }
}
