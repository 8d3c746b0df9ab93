package io.github.portrait_tflite.demo.camera

import android.annotation.SuppressLint
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import io.github.portrait_tflite.demo.live.Shot
import io.github.portrait_tflite.demo.live.ShotPool
import io.github.portrait_tflite.demo.live.Stage
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.live.msSince
import java.io.Closeable

/** Why there are no frames. */
enum class CameraProblem { NONE_FOUND, IN_USE, FAILED }

/**
 * Where frames go, on the camera's thread.
 *
 * @property screenDegrees how far the screen is turned; see [uprightOrientation].
 */
class CameraOutput(
    val shots: ShotPool,
    val clock: StageClock,
    val screenDegrees: () -> Int,
    val onShot: (Shot) -> Unit,
    val onProblem: (CameraProblem) -> Unit,
)

/**
 * Frames of the camera, from [open] until [close]. Frames that nobody has room for are left out.
 */
class CameraFeed private constructor(
    private val camera: CameraChoice,
    private val output: CameraOutput,
) : Closeable {
    private val thread = HandlerThread("camera").apply { start() }
    private val handler = Handler(thread.looper)
    private val reader =
        ImageReader.newInstance(
            camera.size.width,
            camera.size.height,
            ImageFormat.YUV_420_888,
            IMAGES,
        )
    private var device: CameraDevice? = null
    private var closed = false

    init {
        reader.setOnImageAvailableListener({ it.acquireLatestImage()?.use(::takeOver) }, handler)
    }

    private fun takeOver(image: Image) {
        val start = System.nanoTime()
        val shot = output.shots.take() ?: return
        copy(image, shot)
        shot.orientation =
            uprightOrientation(camera.sensorDegrees, output.screenDegrees(), camera.front)
        output.clock.record(Stage.CAMERA, msSince(start))
        output.onShot(shot)
    }

    private fun copy(image: Image, shot: Shot) {
        val frame = shot.frame
        frame.resize(image.width, image.height)
        for ((plane, source) in listOf(frame.y, frame.u, frame.v).zip(image.planes)) {
            plane.load(source.buffer, source.rowStride, source.pixelStride)
        }
    }

    /** What the camera says about itself, on [handler]'s thread. */
    private val opening =
        object : CameraDevice.StateCallback() {
            override fun onOpened(opened: CameraDevice) {
                device = opened
                if (closed) leave(opened) else guarded { capture(opened) }
            }

            override fun onDisconnected(lost: CameraDevice) {
                leave(lost)
                output.onProblem(CameraProblem.IN_USE)
            }

            override fun onError(broken: CameraDevice, code: Int) {
                leave(broken)
                val inUse = code == ERROR_CAMERA_IN_USE || code == ERROR_MAX_CAMERAS_IN_USE
                output.onProblem(if (inUse) CameraProblem.IN_USE else CameraProblem.FAILED)
            }
        }

    @Suppress("DEPRECATION") // Its successor, with a SessionConfiguration, is newer than minSdk.
    private fun capture(
        opened: CameraDevice,
    ) = opened.createCaptureSession(listOf(reader.surface), starting, handler)

    private val starting =
        object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                if (closed) return
                guarded {
                    val request = session.device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                    request.addTarget(reader.surface)
                    session.setRepeatingRequest(request.build(), null, handler)
                }
            }

            override fun onConfigureFailed(session: CameraCaptureSession) =
                output.onProblem(CameraProblem.FAILED)
        }

    private fun guarded(work: () -> Unit) =
        try {
            work()
        } catch (_: CameraAccessException) {
            output.onProblem(CameraProblem.FAILED)
        } catch (_: IllegalStateException) {
            // The camera was taken away between two calls; onDisconnected tells.
        } catch (_: IllegalArgumentException) {
            output.onProblem(CameraProblem.FAILED) // It does not take what it offered.
        } catch (_: SecurityException) {
            output.onProblem(CameraProblem.FAILED) // The permission was taken away meanwhile.
        }

    /** Ends the frames; a camera that is still opening is given back when it is open. */
    override fun close() {
        handler.post {
            closed = true
            device?.let(::leave)
        }
    }

    private fun leave(camera: CameraDevice) {
        camera.close()
        abandon()
    }

    private fun abandon() {
        reader.close()
        thread.quitSafely()
    }

    @SuppressLint("MissingPermission") // Called after the permission was granted.
    private fun start(manager: CameraManager): CameraProblem? =
        try {
            manager.openCamera(camera.id, opening, handler)
            null
        } catch (error: CameraAccessException) {
            val inUse = error.reason == CameraAccessException.CAMERA_IN_USE
            if (inUse) CameraProblem.IN_USE else CameraProblem.FAILED
        } catch (_: IllegalArgumentException) {
            CameraProblem.FAILED // The camera was unplugged meanwhile.
        } catch (_: SecurityException) {
            CameraProblem.FAILED // The permission was taken away meanwhile.
        }

    companion object {
        private const val IMAGES = 3

        /**
         * Opens the front camera, or else the first.
         *
         * @return null where there is none or it refuses, which [CameraOutput.onProblem] is told.
         */
        fun open(manager: CameraManager, output: CameraOutput): CameraFeed? {
            val choice = chooseCamera(manager)
            if (choice == null) {
                output.onProblem(CameraProblem.NONE_FOUND)
                return null
            }
            val feed = CameraFeed(choice, output)
            val problem = feed.start(manager) ?: return feed
            feed.abandon()
            output.onProblem(problem)
            return null
        }
    }
}
