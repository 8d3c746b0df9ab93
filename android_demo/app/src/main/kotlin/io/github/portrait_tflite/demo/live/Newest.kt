package io.github.portrait_tflite.demo.live

import java.util.concurrent.atomic.AtomicReference

/** Hands items from a fast thread to a slow one: the newest wins. */
class Newest<T : Any> {
    private val slot = AtomicReference<T?>()

    /** Offers an item and returns the one that nobody took, to be used again. */
    fun put(item: T): T? = slot.getAndSet(item)

    /** Takes the newest item; null where there is none. */
    fun take(): T? = slot.getAndSet(null)
}
