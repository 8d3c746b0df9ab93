package io.github.portrait_tflite.demo.picture

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Matrix
import android.media.ExifInterface
import android.net.Uri
import io.github.portrait_tflite.core.frame.ArgbFrame
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.Refusal
import java.io.IOException
import java.io.InputStream

private const val LONGEST_SIDE = 1280

/**
 * Reads a picture of the gallery, upright and at most [LONGEST_SIDE] pixels long.
 *
 * @throws Refusal it is no picture, cannot be read, or is too large.
 */
fun readPicture(resolver: ContentResolver, uri: Uri): Bitmap = withinMemory {
    try {
        val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        resolver.read(uri) { BitmapFactory.decodeStream(it, null, bounds) }
        val options = BitmapFactory.Options().apply {
            inSampleSize =
                reduction(bounds.outWidth, bounds.outHeight)
        }
        val picture =
            resolver.read(uri) { BitmapFactory.decodeStream(it, null, options) }
                ?: throw noPicture(uri, null)
        val exif = resolver.read(uri) {
            ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, 0)
        }
        scaled(turned(picture, exifOrientation(exif)))
    } catch (error: IOException) {
        throw noPicture(uri, error)
    } catch (error: SecurityException) {
        throw noPicture(uri, error)
    }
}

/**
 * Does what takes memory for a picture.
 *
 * @throws Refusal there is not enough.
 */
internal inline fun <T> withinMemory(work: () -> T): T =
    try {
        work()
    } catch (error: OutOfMemoryError) {
        throw Refusal(R.string.picture_too_large, cause = error)
    }

private fun <T> ContentResolver.read(uri: Uri, work: (InputStream) -> T): T =
    (openInputStream(uri) ?: throw IOException("nothing there")).use(work)

private fun noPicture(uri: Uri, cause: Exception?) =
    Refusal(R.string.no_picture, uri, cause = cause)

/** By which power of two a decoder may reduce a picture that is made small afterwards. */
internal fun reduction(width: Int, height: Int): Int {
    var by = 1
    while (maxOf(width, height) / (2 * by) >= LONGEST_SIDE) by *= 2
    return by
}

/** What EXIF's orientation 1-8 asks for; anything else is upright. */
internal fun exifOrientation(exif: Int): Orientation =
    when (exif) {
        ExifInterface.ORIENTATION_FLIP_HORIZONTAL -> Orientation(0, mirrored = true)
        ExifInterface.ORIENTATION_ROTATE_180 -> Orientation(180)
        ExifInterface.ORIENTATION_FLIP_VERTICAL -> Orientation(180, mirrored = true)
        ExifInterface.ORIENTATION_TRANSPOSE -> Orientation(90, mirrored = true)
        ExifInterface.ORIENTATION_ROTATE_90 -> Orientation(90)
        ExifInterface.ORIENTATION_TRANSVERSE -> Orientation(270, mirrored = true)
        ExifInterface.ORIENTATION_ROTATE_270 -> Orientation(270)
        else -> Orientation()
    }

private fun turned(picture: Bitmap, orientation: Orientation): Bitmap {
    if (orientation == Orientation()) return picture
    val turn = Matrix().apply {
        postRotate(orientation.degrees.toFloat())
        if (orientation.mirrored) postScale(-1f, 1f)
    }
    return Bitmap.createBitmap(picture, 0, 0, picture.width, picture.height, turn, true)
}

private fun scaled(picture: Bitmap): Bitmap {
    val longest = maxOf(picture.width, picture.height)
    if (longest <= LONGEST_SIDE) return picture
    val (width, height) = listOf(picture.width, picture.height).map {
        maxOf(
            1,
            it * LONGEST_SIDE / longest,
        )
    }
    return Bitmap.createScaledBitmap(picture, width, height, true)
}

/** A bitmap's pixels, for core. */
fun Bitmap.toFrame(): ArgbFrame {
    val pixels = IntArray(width * height)
    getPixels(pixels, 0, width, 0, 0, width, height)
    return ArgbFrame(width, height, pixels)
}

/** A frame of core as a bitmap. */
fun ArgbFrame.toBitmap(): Bitmap = Bitmap.createBitmap(
    pixels,
    width,
    height,
    Bitmap.Config.ARGB_8888,
)
