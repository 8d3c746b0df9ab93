package io.github.portrait_tflite.core.measure

/** The phone; [cores] are those of its CPU. */
data class DeviceInfo(
    val manufacturer: String,
    val model: String,
    val soc: String,
    val android: String,
    val abi: String,
    val cores: Int,
)

/** The app; [runtime] is TFLite's version. */
data class AppInfo(val version: String, val runtime: String)

/**
 * What a phone hands back (schema 1 of device results).
 *
 * @property modelName "" where model.json could not be read.
 * @property modelSha256 of model.json; "" where it could not be read.
 * @property error why the whole run failed; "" where it did not.
 */
data class DeviceResult(
    val device: DeviceInfo,
    val app: AppInfo,
    val modelName: String,
    val modelSha256: String,
    val selfTest: List<SelfTestRow> = emptyList(),
    val benchmarks: List<BenchmarkRow> = emptyList(),
    val error: String = "",
) {
    /** The result file's text. */
    fun toJson(): String = writeDeviceResult(this)

    companion object {
        /** The schema that [toJson] writes. */
        const val SCHEMA = 1
    }
}
