package io.github.portrait_tflite.demo.models

import io.github.portrait_tflite.core.model.DelegateKind
import io.github.portrait_tflite.core.model.ModelCard
import io.github.portrait_tflite.core.run.DelegateChoice
import io.github.portrait_tflite.demo.live.packagedCard
import org.junit.Assert.assertEquals
import org.junit.Test

class RunOptionTest {
    private val card = packagedCard()

    @Test
    fun onlyTheFloatVariantIsOfferedOnTheGpu() {
        val gpu = runOptions(card).filter { it.choice.kind == DelegateKind.GPU }
        assertEquals(listOf("float16"), gpu.map { it.variant })
    }

    @Test
    fun beginsWithTheRecommendedDelegate() {
        assertEquals(RunOption("int8", DelegateChoice(DelegateKind.XNNPACK, 4)), firstOption(card))
    }

    @Test
    fun beginsWithTheGpuWhereNothingElseIsRecommended() {
        assertEquals(DelegateKind.GPU, firstOption(only("float16")).choice.kind)
    }

    private fun only(name: String): ModelCard = card.copy(
        variants = card.variants.filterKeys {
            it ==
                name
        },
    )
}
