#version 300 es
// The effect: m · picture + (1 − m) · what is behind, as core's EffectRenderer.
precision highp float;
precision highp int;
uniform highp sampler2D picture, matte, cells, backdrop;
uniform int effect;     // the place in core's enum Effect: mask, cutout, blur, background, color
uniform vec3 fill;      // behind the person, for color
uniform float cell;     // side of a blurred cell in pixels
uniform vec4 cover;     // the part of the backdrop that covers the picture: left, top, width, height
in vec2 place;
out vec4 color;

const int MASK = 0, CUTOUT = 1, BLUR = 2, BACKGROUND = 3;
const float EPSILON = 1.0 / 256.0;

vec3 blurred(vec3 own) {
    vec2 at = place * vec2(textureSize(picture, 0)) / cell;
    vec4 near = texture(cells, at / vec2(textureSize(cells, 0)));
    return (near.rgb + EPSILON * own) / (near.a + EPSILON);
}

vec3 behind(vec3 own) {
    if (effect == CUTOUT) return vec3(0.0);
    if (effect == BLUR) return blurred(own);
    if (effect == BACKGROUND) return texture(backdrop, cover.xy + place * cover.zw).rgb;
    return fill;
}

void main() {
    vec3 own = texture(picture, place).rgb;
    float person = texture(matte, place).r;
    color = vec4(effect == MASK ? vec3(person) : mix(behind(own), own, person), 1.0);
}
