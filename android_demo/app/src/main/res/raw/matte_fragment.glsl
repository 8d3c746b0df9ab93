#version 300 es
// The network's mask → the frame's size, drawn to its edges, as core's MaskRestorer and
// EdgeRefinement: joint bilateral upsampling (Kopf et al. 2007), then more contrast.
precision highp float;
precision highp int;
uniform highp sampler2D picture, mask;
uniform ivec2 size;   // of the picture
uniform vec4 region;  // of the picture that the mask shows: left, top, width, height in its pixels
uniform vec4 inner;   // where that lies in the mask, in its pixels
uniform int spacing;  // pixels between taps
out vec4 matte;

const int REACH = 2;
const float SPREAD = 1.5;
const float LIKE = 0.1;

float coarse(ivec2 at) {
    vec2 from = vec2(at) + 0.5 - region.xy;
    if (any(lessThan(from, vec2(0.0))) || any(greaterThan(from, region.zw))) return 0.0;
    vec2 there = inner.xy + from * inner.zw / region.zw;
    there = clamp(there, inner.xy + 0.5, inner.xy + inner.zw - 0.5);
    return texture(mask, there / vec2(textureSize(mask, 0))).r;
}

void main() {
    ivec2 center = ivec2(gl_FragCoord.xy);
    vec3 own = texelFetch(picture, center, 0).rgb;
    float total = 0.0;
    float weights = 0.0;
    for (int down = -REACH; down <= REACH; down++) {
        for (int right = -REACH; right <= REACH; right++) {
            ivec2 at = clamp(center + spacing * ivec2(right, down), ivec2(0), size - 1);
            vec3 unlike = texelFetch(picture, at, 0).rgb - own;
            float near = float(down * down + right * right) / (2.0 * SPREAD * SPREAD);
            float weight = exp(-near - dot(unlike, unlike) / (2.0 * LIKE * LIKE));
            total += weight * coarse(at);
            weights += weight;
        }
    }
    matte = vec4(smoothstep(0.1, 0.9, total / weights));
}
