package io.github.portrait_tflite.demo.phone

import io.github.portrait_tflite.demo.AppRunner
import java.nio.file.Files
import java.nio.file.attribute.PosixFilePermission
import java.nio.file.attribute.PosixFilePermissions
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RuntimeEnvironment

/** What adb's shell needs of a result: it is another user than the app. */
@RunWith(AppRunner::class)
class ResultFileTest {
    private val context = RuntimeEnvironment.getApplication()

    @Test
    fun opensAFolderThatThePhoneClosedToOthers() {
        val folder = checkNotNull(context.getExternalFilesDir("results")).toPath()
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwx------"))
        val file = writeResult(context, "first", "{}")
        val ofFolder = Files.getPosixFilePermissions(folder)
        assertTrue("$ofFolder", PosixFilePermission.OTHERS_READ in ofFolder)
        assertTrue("$ofFolder", PosixFilePermission.OTHERS_EXECUTE in ofFolder)
        val ofFile = Files.getPosixFilePermissions(file.toPath())
        assertTrue("$ofFile", PosixFilePermission.OTHERS_READ in ofFile)
        assertEquals("{}", file.readText())
    }
}
