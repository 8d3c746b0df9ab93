package io.github.portrait_tflite.core.measure

/** What a device says about itself between cells; the app reads it from Android. */
interface DeviceState {
    /** `none`, `light`, `moderate`, `severe`, `critical`, `emergency` or `shutdown`. */
    val thermal: String?

    /** Of the battery, in degrees Celsius. */
    val batteryC: Double?

    /** Most memory that the process held so far, in 10^6 bytes. */
    val peakRssMb: Double?

    /** Nanoseconds of a clock that only goes forwards. */
    fun nanoTime(): Long

    /**
     * Waits, in seconds; the app may show it.
     *
     * @throws InterruptedException the thread was interrupted.
     */
    fun pause(seconds: Double)
}
