package io.github.portrait_tflite.core.measure

import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.add
import kotlinx.serialization.json.buildJsonArray
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put

private val PRETTY = Json { prettyPrint = true }

/** Writes a device result; `error` only where there is one. */
internal fun writeDeviceResult(result: DeviceResult): String {
    val json =
        buildJsonObject {
            put("schema", DeviceResult.SCHEMA)
            if (result.error.isNotEmpty()) put("error", result.error)
            put("device", deviceJson(result.device))
            put("app", appJson(result.app))
            put("model", modelJson(result))
            put("self_test", buildJsonArray { result.selfTest.forEach { add(selfTestJson(it)) } })
            put("benchmarks", buildJsonArray { result.benchmarks.forEach { add(cellJson(it)) } })
        }
    return PRETTY.encodeToString(JsonObject.serializer(), json) + "\n"
}

private fun deviceJson(device: DeviceInfo) =
    buildJsonObject {
        put("manufacturer", device.manufacturer)
        put("model", device.model)
        put("soc", device.soc)
        put("android", device.android)
        put("abi", device.abi)
        put("cores", device.cores)
    }

private fun appJson(app: AppInfo) =
    buildJsonObject {
        put("version", app.version)
        put("runtime", app.runtime)
    }

private fun modelJson(result: DeviceResult) =
    buildJsonObject {
        put("name", result.modelName)
        put("sha256", result.modelSha256)
    }

private fun selfTestJson(row: SelfTestRow) =
    buildJsonObject {
        put("variant", row.variant)
        put("delegate", row.delegate.json)
        put("threads", row.threads)
        put("golden", row.golden)
        put("iou", row.iou)
        put("max_step", row.maxStep)
        put("passed", row.passed)
        put("unavailable", row.unavailable)
        putError(row.error)
    }

private fun cellJson(row: BenchmarkRow) =
    buildJsonObject {
        put("variant", row.variant)
        put("delegate", row.delegate.json)
        put("threads", row.threads)
        put("precision", row.precision)
        put("partitions", row.partitions)
        put("runs", row.runs)
        put("processes", if (row.runs > 0) 1 else 0)
        put("warmup", row.warmup)
        put("latency_ms", statisticsJson(row.latencyMs))
        put("init_ms", row.initMs)
        put("first_ms", row.firstMs)
        put("peak_rss_mb", row.peakRssMb)
        put("stable", row.stable)
        put("warnings", buildJsonArray { row.warnings.forEach { add(it) } })
        put("remark", row.remark)
        put("unavailable", row.unavailable)
        putError(row.error)
        put("thermal", pairJson(row.thermal) { put(it.first, it.second) })
        put("battery_c", pairJson(row.batteryC) { put(it.first, it.second) })
        put("frame_ms", framesJson(row.frameMs))
        put("samples_ms", buildJsonArray { row.samplesMs.forEach { add(it) } })
    }

private fun JsonObjectBuilder.putError(error: String) {
    if (error.isNotEmpty()) put("error", error)
}

private fun <T> pairJson(
    pair: BeforeAfter<T>,
    put: JsonObjectBuilder.(Pair<String, T?>) -> Unit,
) = buildJsonObject {
    put("before" to pair.before)
    put("after" to pair.after)
}

private fun framesJson(frames: FrameTimes?): JsonElement {
    if (frames == null) return JsonNull
    return buildJsonObject {
        put("camera", statisticsJson(frames.camera))
        put("preprocess", statisticsJson(frames.preprocess))
        put("inference", statisticsJson(frames.inference))
        put("effect", statisticsJson(frames.effect))
    }
}

private fun statisticsJson(statistics: Statistics?): JsonElement {
    if (statistics == null) return JsonNull
    return buildJsonObject {
        put("median", statistics.median)
        put("mean", statistics.mean)
        put("p90", statistics.p90)
        put("p95", statistics.p95)
        put("min", statistics.min)
        put("mad", statistics.mad)
    }
}
