package io.github.portrait_tflite.demo.live

import io.github.portrait_tflite.core.model.FolderSource
import io.github.portrait_tflite.core.model.ModelCard
import java.io.File

/** The packaged model's card. */
fun packagedCard(): ModelCard = ModelCard.read(FolderSource(File("src/main/assets/portrait")))
