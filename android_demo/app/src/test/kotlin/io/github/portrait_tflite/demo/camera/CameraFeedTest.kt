package io.github.portrait_tflite.demo.camera

import android.content.Context
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraDevice.StateCallback
import android.hardware.camera2.CameraManager
import android.util.Size
import io.github.portrait_tflite.core.frame.Orientation
import io.github.portrait_tflite.demo.AppRunner
import io.github.portrait_tflite.demo.live.Shot
import io.github.portrait_tflite.demo.live.ShotPool
import io.github.portrait_tflite.demo.live.Stage
import io.github.portrait_tflite.demo.live.StageClock
import io.github.portrait_tflite.demo.until
import java.util.concurrent.CopyOnWriteArrayList
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode

private const val WIDTH = 64
private const val HEIGHT = 48

/** Camera2 from opening to giving back: every camera that was opened is closed again. */
@RunWith(AppRunner::class)
@Config(shadows = [FilmingCameras::class, DrawnFrames::class])
@GraphicsMode(GraphicsMode.Mode.LEGACY)
class CameraFeedTest {
    private val manager =
        RuntimeEnvironment.getApplication().getSystemService(
            Context.CAMERA_SERVICE,
        ) as CameraManager
    private val shots = ShotPool(count = 2)
    private val clock = StageClock()
    private val filmed = CopyOnWriteArrayList<Shot>()
    private val problems = CopyOnWriteArrayList<CameraProblem>()
    private val output = CameraOutput(shots, clock, { 90 }, filmed::add, problems::add)

    @Before
    fun install() = FilmingCameras.install(Size(WIDTH, HEIGHT))

    private fun open(): CameraFeed = checkNotNull(CameraFeed.open(manager, output))

    private fun untilFilming() = until("the camera") {
        FilmingCameras.opened.isNotEmpty() && DrawnFrames.listener != null
    }

    private fun untilAllIsGivenBack() {
        until("the end of the camera") { FilmingCameras.opened.single().isClosed }
        until("the end of its thread") {
            Thread.getAllStackTraces().keys.none { it.name == "camera" }
        }
    }

    @Test
    fun copiesThePlanesOfAPictureAndGivesItBack() {
        val feed = open()
        untilFilming()
        val image = DrawnImage(WIDTH, HEIGHT, light = 77)
        DrawnFrames.bring(image)
        until("the shot") { filmed.isNotEmpty() && image.closed }
        val (shot) = filmed
        assertEquals(WIDTH to HEIGHT, shot.frame.width to shot.frame.height)
        assertEquals(77.toByte(), shot.frame.y.bytes[HEIGHT / 2 * shot.frame.y.rowStride])
        for ((plane, step) in listOf(shot.frame.y to 1, shot.frame.u to 2, shot.frame.v to 2)) {
            assertEquals(WIDTH + DrawnImage.PADDING to step, plane.rowStride to plane.pixelStride)
        }
        // The sensor lies at 270 degrees, and the screen is turned by 90.
        assertEquals(Orientation(0, mirrored = true), shot.orientation)
        assertNotNull(clock.read(Stage.CAMERA))
        feed.close()
        untilAllIsGivenBack()
    }

    @Test
    fun leavesOutPicturesThatNobodyHasRoomFor() {
        val feed = open()
        untilFilming()
        val images = List(3) { DrawnImage(WIDTH, HEIGHT, light = it) }
        for (image in images) {
            DrawnFrames.bring(image)
            until("a look at it") { image.closed }
        }
        assertEquals(2, filmed.size)
        feed.close()
        untilAllIsGivenBack()
    }

    @Test
    fun aCameraThatIsTakenAwayIsClosedAndSaid() {
        open()
        untilFilming()
        FilmingCameras.opened.single().disconnect()
        untilAllIsGivenBack()
        assertEquals(listOf(CameraProblem.IN_USE), problems)
    }

    @Test
    fun aCameraThatBreaksIsClosedAndSaid() {
        val told =
            mapOf(
                StateCallback.ERROR_CAMERA_DEVICE to CameraProblem.FAILED,
                StateCallback.ERROR_CAMERA_SERVICE to CameraProblem.FAILED,
                StateCallback.ERROR_CAMERA_DISABLED to CameraProblem.FAILED,
                StateCallback.ERROR_CAMERA_IN_USE to CameraProblem.IN_USE,
                StateCallback.ERROR_MAX_CAMERAS_IN_USE to CameraProblem.IN_USE,
            )
        for ((code, problem) in told) {
            FilmingCameras.reset()
            problems.clear()
            open()
            untilFilming()
            FilmingCameras.opened.single().fail(code)
            untilAllIsGivenBack()
            assertEquals("$code", listOf(problem), problems)
        }
    }

    @Test
    fun aCameraThatDoesNotOpenIsSaid() {
        val told =
            mapOf(
                CameraAccessException(CameraAccessException.CAMERA_IN_USE) to CameraProblem.IN_USE,
                CameraAccessException(CameraAccessException.CAMERA_DISABLED) to
                    CameraProblem.FAILED,
                IllegalArgumentException("unplugged") to CameraProblem.FAILED,
                SecurityException("not allowed any more") to CameraProblem.FAILED,
            )
        for ((refusal, problem) in told) {
            problems.clear()
            FilmingCameras.refusal = refusal
            assertNull(CameraFeed.open(manager, output))
            assertEquals("$refusal", listOf(problem), problems)
            until("the end of its thread") {
                Thread.getAllStackTraces().keys.none { it.name == "camera" }
            }
        }
        assertTrue(FilmingCameras.opened.isEmpty())
    }

    @Test
    fun aFeedThatIsClosedWhileTheCameraOpensGivesItBack() {
        FilmingCameras.slow = true
        val feed = open()
        until("the camera") { FilmingCameras.goOn != null }
        feed.close()
        checkNotNull(FilmingCameras.goOn)()
        untilAllIsGivenBack()
        assertEquals(emptyList<CameraProblem>(), problems)
    }
}
