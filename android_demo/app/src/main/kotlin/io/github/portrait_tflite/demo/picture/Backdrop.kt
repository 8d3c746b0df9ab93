package io.github.portrait_tflite.demo.picture

import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.LinearGradient
import android.graphics.Paint
import android.graphics.Shader

private const val WIDTH = 320
private const val HEIGHT = 240
private const val EVENING = 0xff26486b.toInt()
private const val HORIZON = 0xfff2b880.toInt()

/** A drawn background for as long as none is chosen: an evening sky. */
fun defaultBackdrop(): Bitmap {
    val picture = Bitmap.createBitmap(WIDTH, HEIGHT, Bitmap.Config.ARGB_8888)
    val sky = Paint()
    sky.shader =
        LinearGradient(0f, 0f, 0f, HEIGHT.toFloat(), EVENING, HORIZON, Shader.TileMode.CLAMP)
    Canvas(picture).drawPaint(sky)
    return picture
}
