package io.github.portrait_tflite.demo.gl

import android.content.res.Resources
import android.opengl.GLES30
import io.github.portrait_tflite.core.frame.Placement
import io.github.portrait_tflite.core.frame.Plane
import io.github.portrait_tflite.core.mask.EdgeRefinement
import io.github.portrait_tflite.demo.R
import io.github.portrait_tflite.demo.live.Matte
import io.github.portrait_tflite.demo.live.Shot

/** Makes of a shot two textures of its upright size: the picture, and the refined matte. */
class FramePasses(resources: Resources) {
    val picture = Target(GLES30.GL_RGBA, GLES30.GL_LINEAR)
    val matte = Target(GLES30.GL_RGBA, GLES30.GL_LINEAR)

    private val upright = Program(resources, R.raw.upright_fragment)
    private val refine = Program(resources, R.raw.matte_fragment)
    private val luma = Texture(GLES30.GL_NEAREST)
    private val blue = Texture(GLES30.GL_NEAREST)
    private val red = Texture(GLES30.GL_NEAREST)
    private val mask = Texture(GLES30.GL_LINEAR)

    /** Draws both; the shot can be used again afterwards. */
    fun draw(shot: Shot) {
        drawPicture(shot)
        drawMatte(shot)
    }

    private fun drawPicture(shot: Shot) {
        val frame = shot.frame
        load(luma, frame.y, frame.width, frame.height)
        load(blue, frame.u, (frame.width + 1) / 2, (frame.height + 1) / 2)
        load(red, frame.v, (frame.width + 1) / 2, (frame.height + 1) / 2)
        picture.begin(shot.width, shot.height)
        upright.use()
        upright.texture("luma", luma.id)
        upright.texture("blue", blue.id)
        upright.texture("red", red.id)
        upright.set("chroma_stride", frame.u.pixelStride)
        upright.set("size", shot.width, shot.height)
        upright.set("degrees", shot.orientation.degrees)
        upright.set("mirrored", if (shot.orientation.mirrored) 1 else 0)
        upright.draw()
    }

    /** Loads a plane as it is, with what lies between its samples; never beyond its last one. */
    private fun load(texture: Texture, plane: Plane, width: Int, height: Int) =
        texture.load(plane.bytes, (width - 1) * plane.pixelStride + 1, height, plane.rowStride)

    private fun drawMatte(shot: Shot) {
        val coarse = shot.matte
        mask.load(coarse.bytes, coarse.width, coarse.height, coarse.width)
        matte.begin(shot.width, shot.height)
        refine.use()
        refine.texture("picture", picture.id)
        refine.texture("mask", mask.id)
        refine.set("size", shot.width, shot.height)
        refine.set(
            "spacing",
            EdgeRefinement.step(shot.width, shot.height, coarse.width, coarse.height),
        )
        place(coarse, shot.width, shot.height)
        refine.draw()
    }

    private fun place(coarse: Matte, width: Int, height: Int) {
        val spec = checkNotNull(coarse.spec) { "a segmented shot is required" }
        val at = Placement.of(spec.fit, width, height, spec.width, spec.height)
        // The mask may be smaller than the network's input.
        val right = coarse.width.toFloat() / spec.width
        val down = coarse.height.toFloat() / spec.height
        refine.set(
            "region",
            at.left.toFloat(),
            at.top.toFloat(),
            at.width.toFloat(),
            at.height.toFloat(),
        )
        refine.set(
            "inner",
            at.innerLeft * right,
            at.innerTop * down,
            at.innerWidth * right,
            at.innerHeight * down,
        )
    }
}
