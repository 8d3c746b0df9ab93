package io.github.portrait_tflite.demo.phone

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import io.github.portrait_tflite.core.measure.AppInfo
import io.github.portrait_tflite.core.measure.DeviceInfo
import io.github.portrait_tflite.core.measure.DeviceState
import io.github.portrait_tflite.engine.TfliteFactory
import java.io.File
import java.io.IOException
import org.codehaus.mojo.animal_sniffer.IgnoreJRERequirement

private const val TENTHS = 10.0
private const val KIB = 1024.0
private const val MB = 1e6
private const val MS_PER_SECOND = 1000
private const val NO_TEMPERATURE = Int.MIN_VALUE

/** This phone, as results name it. */
fun deviceInfo(): DeviceInfo =
    DeviceInfo(
        manufacturer = Build.MANUFACTURER,
        model = Build.MODEL,
        soc = soc(),
        android = Build.VERSION.RELEASE,
        abi = Build.SUPPORTED_ABIS.firstOrNull().orEmpty(),
        cores = Runtime.getRuntime().availableProcessors(),
    )

/** This app, as results name it. */
fun appInfo(context: Context): AppInfo =
    AppInfo(
        version = context.packageManager.getPackageInfo(
            context.packageName,
            0,
        ).versionName.orEmpty(),
        runtime = TfliteFactory.runtimeVersion(),
    )

@IgnoreJRERequirement // Asked for behind the version that has it.
private fun soc(): String {
    val told = Build.VERSION.SDK_INT >= Build.VERSION_CODES.S
    return if (told) Build.SOC_MODEL else Build.HARDWARE
}

/** Heat and memory of this phone. */
class PhoneState(private val context: Context) : DeviceState {
    @get:IgnoreJRERequirement // Asked for behind the version that has it.
    override val thermal: String?
        get() {
            if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
            val power = context.getSystemService(PowerManager::class.java) ?: return null
            return THERMAL.getOrNull(power.currentThermalStatus)
        }

    override val batteryC: Double?
        get() {
            val battery = context.registerReceiver(
                null,
                IntentFilter(Intent.ACTION_BATTERY_CHANGED),
            )
            val tenths =
                battery?.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, NO_TEMPERATURE)
                    ?: NO_TEMPERATURE
            return if (tenths == NO_TEMPERATURE) null else tenths / TENTHS
        }

    override val peakRssMb: Double?
        get() =
            try {
                File("/proc/self/status").useLines { lines ->
                    lines.firstOrNull {
                        it.startsWith("VmHWM:")
                    }?.filter(Char::isDigit)?.toDouble()?.let {
                        it *
                            KIB /
                            MB
                    }
                }
            } catch (_: IOException) {
                null
            }

    override fun nanoTime(): Long = System.nanoTime()

    override fun pause(seconds: Double) = Thread.sleep((seconds * MS_PER_SECOND).toLong())

    private companion object {
        // By PowerManager.THERMAL_STATUS_*, from 0 on.
        val THERMAL =
            listOf("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
    }
}
