#version 300 es
// A YUV_420_888 frame (BT.601, full range) → upright RGB, as core's Frame.upright.
precision highp float;
precision highp int;
uniform highp sampler2D luma, blue, red;
uniform int chroma_stride;  // bytes from a sample of chroma to the next
uniform ivec2 size;         // of the upright picture
uniform int degrees;        // clockwise
uniform bool mirrored;      // after the rotation
out vec4 color;

ivec2 stored(ivec2 at) {
    int x = mirrored ? size.x - 1 - at.x : at.x;
    if (degrees == 90) return ivec2(at.y, size.x - 1 - x);
    if (degrees == 180) return size - 1 - ivec2(x, at.y);
    if (degrees == 270) return ivec2(size.y - 1 - at.y, x);
    return ivec2(x, at.y);
}

void main() {
    ivec2 at = stored(ivec2(gl_FragCoord.xy));
    ivec2 shared_at = ivec2((at.x >> 1) * chroma_stride, at.y >> 1);
    float y = texelFetch(luma, at, 0).r;
    float cb = texelFetch(blue, shared_at, 0).r - 128.0 / 255.0;
    float cr = texelFetch(red, shared_at, 0).r - 128.0 / 255.0;
    color = vec4(y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb, 1.0);
}
