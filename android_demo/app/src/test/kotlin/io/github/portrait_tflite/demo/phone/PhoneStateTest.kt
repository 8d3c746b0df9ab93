package io.github.portrait_tflite.demo.phone

import android.content.Intent
import android.os.BatteryManager
import android.os.PowerManager
import io.github.portrait_tflite.demo.AppRunner
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

@RunWith(AppRunner::class)
class PhoneStateTest {
    private val context = RuntimeEnvironment.getApplication()
    private val state = PhoneState(context)

    @Test
    fun namesEveryThermalStatus() {
        val named =
            mapOf(
                PowerManager.THERMAL_STATUS_NONE to "none",
                PowerManager.THERMAL_STATUS_LIGHT to "light",
                PowerManager.THERMAL_STATUS_MODERATE to "moderate",
                PowerManager.THERMAL_STATUS_SEVERE to "severe",
                PowerManager.THERMAL_STATUS_CRITICAL to "critical",
                PowerManager.THERMAL_STATUS_EMERGENCY to "emergency",
                PowerManager.THERMAL_STATUS_SHUTDOWN to "shutdown",
            )
        val power = shadowOf(context.getSystemService(PowerManager::class.java))
        for ((status, name) in named) {
            power.setCurrentThermalStatus(status)
            assertEquals("$status", name, state.thermal)
        }
    }

    @Test
    fun readsTheBatteryInDegrees() {
        assertNull(state.batteryC)
        // Sticky, as Android's own is; what it says is in tenths of a degree.
        @Suppress("DEPRECATION")
        context.sendStickyBroadcast(
            Intent(Intent.ACTION_BATTERY_CHANGED).putExtra(BatteryManager.EXTRA_TEMPERATURE, 314),
        )
        assertEquals(31.4, state.batteryC!!, 1e-9)
    }

    @Test
    fun readsTheMostMemoryThatTheProcessHeld() {
        val before = peakKib()
        val peak = state.peakRssMb!!
        val between = before * 1024 / 1e6..peakKib() * 1024 / 1e6
        assertTrue("$peak is not in $between", peak in between)
    }

    private fun peakKib(): Int {
        val status = File("/proc/self/status").readText()
        return checkNotNull(Regex("""VmHWM:\s+(\d+) kB""").find(status)).groupValues[1].toInt()
    }
}
