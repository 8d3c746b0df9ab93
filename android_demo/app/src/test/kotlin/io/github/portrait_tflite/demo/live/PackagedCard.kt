package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelCard
import java.io.File

/** The model that the tests' app carries: a tiny net, so that any other may be packaged. */
val PACKAGED = File("target/test-assets/portrait")

/** The packaged model's card. */
fun packagedCard(): ModelCard = ModelCard.read(FolderSource(PACKAGED))
