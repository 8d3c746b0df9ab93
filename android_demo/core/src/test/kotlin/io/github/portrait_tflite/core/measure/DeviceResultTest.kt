package io.github.portrait_tflite.core.measure

import io.github.portrait_tflite.core.model.DelegateKind
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The JSON of a device result. */
class DeviceResultTest {
    private val times = Statistics(5.0, 5.5, 6.0, 7.0, 4.0, 0.5)
    private val blank =
        DeviceResult(
            DeviceInfo("Fabrikam", "F1", "X1", "14", "arm64-v8a", 8),
            AppInfo("0.1.0", "2.16.1"),
            modelName = "portrait",
            modelSha256 = "ab",
        )

    @Test
    fun `all fields of the schema are there`() {
        val json = read(blank.copy(selfTest = listOf(TESTED), benchmarks = listOf(cell())))
        assertEquals(
            setOf("schema", "device", "app", "model", "self_test", "benchmarks"),
            json.keys,
        )
        assertEquals(
            setOf("manufacturer", "model", "soc", "android", "abi", "cores"),
            json.getValue("device").jsonObject.keys,
        )
        val test = json.getValue("self_test").jsonArray[0].jsonObject
        assertEquals(JsonPrimitive("xnnpack"), test["delegate"])
        assertEquals(JsonPrimitive(1.0), test["max_step"])
        assertEquals(JsonPrimitive(true), test["passed"])
        val row = json.getValue("benchmarks").jsonArray[0].jsonObject
        assertEquals(JsonPrimitive(6.0), row.getValue("latency_ms").jsonObject["p90"])
        assertEquals(JsonPrimitive("light"), row.getValue("thermal").jsonObject["after"])
        assertEquals(JsonPrimitive(30.5), row.getValue("battery_c").jsonObject["before"])
        val frames = row.getValue("frame_ms").jsonObject
        assertEquals(JsonNull, frames["camera"])
        assertEquals(JsonPrimitive(5.0), frames.getValue("effect").jsonObject["median"])
        assertFalse("error" in row)
        assertEquals(JsonPrimitive(1), row["processes"])
    }

    @Test
    fun `failures stand in it`() {
        val cell = BenchmarkRow("int8", DelegateKind.GPU, 1, unavailable = "no", error = "broken")
        val json =
            read(blank.copy(error = "storage is full.", benchmarks = listOf(cell)))
        assertEquals(JsonPrimitive("storage is full."), json["error"])
        val row = json.getValue("benchmarks").jsonArray[0].jsonObject
        assertEquals(JsonPrimitive("broken"), row["error"])
        assertEquals(JsonPrimitive("no"), row["unavailable"])
        assertEquals(JsonNull, row["latency_ms"])
        assertEquals(JsonNull, row["frame_ms"])
        assertEquals(JsonPrimitive(0), row["processes"])
    }

    @Test
    fun `it is a text file`() {
        assertTrue(blank.toJson().endsWith("}\n"))
    }

    private fun cell() =
        BenchmarkRow(
            "int8",
            DelegateKind.XNNPACK,
            threads = 4,
            runs = 3,
            latencyMs = times,
            thermal = BeforeAfter("none", "light"),
            batteryC = BeforeAfter(30.5, null),
            frameMs = FrameTimes(null, times, times, times),
            samplesMs = listOf(5.0),
            warnings = listOf("only 3 runs; use 50 or more"),
        )

    private fun read(result: DeviceResult): JsonObject =
        Json.parseToJsonElement(result.toJson()).jsonObject

    private companion object {
        val TESTED =
            SelfTestRow("int8", DelegateKind.XNNPACK, 4, 0, iou = 1.0, maxStep = 1.0, passed = true)
    }
}
