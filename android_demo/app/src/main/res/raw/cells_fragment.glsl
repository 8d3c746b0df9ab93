#version 300 es
// Background blur, step 1: means over cells of w·F (rgb) and w (alpha), w = 1 − matte.
precision highp float;
precision highp int;
uniform highp sampler2D picture, matte;
uniform ivec2 size;  // of the picture; what lies beyond counts as 0
uniform int cell;    // side of a cell in pixels
out vec4 mean;

void main() {
    ivec2 corner = ivec2(gl_FragCoord.xy) * cell;
    vec4 sum = vec4(0.0);
    for (int down = 0; down < cell; down++) {
        for (int right = 0; right < cell; right++) {
            ivec2 at = corner + ivec2(right, down);
            if (any(greaterThanEqual(at, size))) continue;
            float weight = 1.0 - texelFetch(matte, at, 0).r;
            sum += weight * vec4(texelFetch(picture, at, 0).rgb, 1.0);
        }
    }
    mean = sum / float(cell * cell);
}
