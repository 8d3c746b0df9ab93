package io.github.portrait_tflite.demo.picture

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import io.github.portrait_tflite.demo.R

/**
 * Lets the person choose a picture, which comes to the activity's `onActivityResult`.
 *
 * @param orElse takes the sentence where the phone has no app for that.
 */
fun Activity.pickPicture(request: Int, orElse: (String) -> Unit) {
    val pictures = Intent(Intent.ACTION_GET_CONTENT).setType("image/*")
    try {
        startActivityForResult(pictures.addCategory(Intent.CATEGORY_OPENABLE), request)
    } catch (_: ActivityNotFoundException) {
        orElse(getString(R.string.no_gallery))
    }
}
