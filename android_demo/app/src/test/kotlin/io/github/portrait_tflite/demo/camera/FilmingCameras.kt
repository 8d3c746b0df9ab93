package io.github.portrait_tflite.demo.camera

import android.content.Context
import android.content.pm.PackageManager
import android.graphics.ImageFormat
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.util.Size
import java.nio.ByteBuffer
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.Executor
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.annotation.RealObject
import org.robolectric.shadow.api.Shadow
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.ShadowCameraManager
import org.robolectric.shadows.ShadowImageReader
import org.robolectric.shadows.StreamConfigurationMapBuilder

/** A camera that was opened, and whom it tells what becomes of it. */
class OpenedCamera(
    val device: CameraDevice,
    private val callback: CameraDevice.StateCallback,
    private val executor: Executor,
) {
    val isClosed: Boolean
        get() =
            try {
                device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                false
            } catch (_: IllegalStateException) {
                true
            }

    fun fail(code: Int) = executor.execute { callback.onError(device, code) }

    fun disconnect() = executor.execute { callback.onDisconnected(device) }
}

/** Robolectric's cameras, which tell what was opened and can refuse. */
@Implements(CameraManager::class)
class FilmingCameras : ShadowCameraManager() {
    @RealObject
    private lateinit var manager: CameraManager

    @Suppress("DEPRECATION") // Its successor takes an interface of its own for one call.
    @Implementation
    fun openCamera(id: String, callback: CameraDevice.StateCallback, handler: Handler) {
        val told = if (slow) Withheld(callback, handler) else callback
        Shadow.directlyOn(manager, CameraManager::class.java).openCamera(id, told, handler)
    }

    /** Tells that the camera is open only when [goOn] is called. */
    private class Withheld(
        private val callback: CameraDevice.StateCallback,
        private val handler: Handler,
    ) : CameraDevice.StateCallback() {
        override fun onOpened(device: CameraDevice) {
            goOn = { handler.post { callback.onOpened(device) } }
        }

        override fun onDisconnected(device: CameraDevice) = callback.onDisconnected(device)

        override fun onError(device: CameraDevice, code: Int) = callback.onError(device, code)
    }

    override fun updateCameraCallback(
        device: CameraDevice,
        callback: CameraDevice.StateCallback,
        handler: Handler?,
        executor: Executor?,
    ) {
        refusal?.let { throw it }
        opened += OpenedCamera(device, callback, checkNotNull(executor))
    }

    companion object {
        val opened = CopyOnWriteArrayList<OpenedCamera>()

        /** What opening one throws; null for nothing. */
        var refusal: Exception? = null

        /** Whether a camera is open only after [goOn]. */
        var slow = false

        /** Lets the camera be open; null before it was asked for. */
        @Volatile
        var goOn: (() -> Unit)? = null

        /** Forgets what was opened, and refuses nothing. */
        fun reset() {
            opened.clear()
            refusal = null
            slow = false
            goOn = null
            DrawnFrames.listener = null
        }

        /** Gives the phone a front camera. */
        fun install(size: Size) {
            reset()
            val context = RuntimeEnvironment.getApplication()
            shadowOf(context.packageManager)
                .setSystemFeature(PackageManager.FEATURE_CAMERA_ANY, true)
            val manager = context.getSystemService(Context.CAMERA_SERVICE) as CameraManager
            shadowOf(manager).addCamera("front", front(size))
        }

        private fun front(size: Size): CameraCharacteristics {
            val sizes =
                StreamConfigurationMapBuilder.newBuilder()
                    .addOutputSize(ImageFormat.YUV_420_888, size).build()
            val camera = ShadowCameraCharacteristics.newCameraCharacteristics()
            val shadow = Shadow.extract<ShadowCameraCharacteristics>(camera)
            shadow.set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, sizes)
            shadow.set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_FRONT)
            shadow.set(CameraCharacteristics.SENSOR_ORIENTATION, 270)
            return camera
        }
    }
}

/**
 * Where the camera's pictures come from: the test. For the graphics of LEGACY alone: a reader that
 * is collected while a test with NATIVE ones runs would be closed by code that never opened it.
 */
@Implements(ImageReader::class)
class DrawnFrames : ShadowImageReader() {
    @RealObject
    private lateinit var reader: ImageReader

    @Implementation
    fun setOnImageAvailableListener(to: ImageReader.OnImageAvailableListener, on: Handler) {
        listener = { on.post { to.onImageAvailable(reader) } }
    }

    @Implementation
    fun acquireLatestImage(): Image? = picture

    companion object {
        /** Tells the app that there is a picture; null before it asked. */
        @Volatile
        var listener: (() -> Unit)? = null

        @Volatile
        private var picture: Image? = null

        /** Brings a picture to the app, on its own thread. */
        fun bring(image: Image) {
            picture = image
            checkNotNull(listener) { "the app reads no pictures" }()
        }
    }
}

/**
 * A picture as a camera lays it out: rows longer than the picture, and U and V interleaved.
 *
 * @param light of its middle row's beginning, to tell it from others.
 */
class DrawnImage(private val wide: Int, private val high: Int, light: Int) : Image() {
    @Volatile
    var closed = false

    private val luma =
        Rows(wide + PADDING, 1, ByteArray((wide + PADDING) * high) { light.toByte() })
    private val chroma = Rows(wide + PADDING, 2, ByteArray((wide + PADDING) * high / 2) { -128 })

    override fun getPlanes(): Array<Plane> = arrayOf(luma, chroma, chroma)

    override fun getWidth() = wide

    override fun getHeight() = high

    override fun getFormat() = ImageFormat.YUV_420_888

    override fun getTimestamp() = 0L

    override fun getTransform() = 0

    override fun getScalingMode() = 0

    override fun close() {
        closed = true
    }

    private class Rows(private val row: Int, private val pixel: Int, private val bytes: ByteArray) :
        Plane() {
        override fun getRowStride() = row

        override fun getPixelStride() = pixel

        override fun getBuffer(): ByteBuffer = ByteBuffer.wrap(bytes)
    }

    companion object {
        const val PADDING = 32
    }
}
