#version 300 es
// Background blur, step 2: a Gaussian along one axis; cells beyond the last are 0.
precision highp float;
precision highp int;
uniform highp sampler2D cells;
uniform ivec2 axis;   // (1, 0) or (0, 1)
uniform float sigma;  // in cells
out vec4 blurred;

void main() {
    ivec2 size = textureSize(cells, 0);
    ivec2 center = ivec2(gl_FragCoord.xy);
    int reach = int(ceil(3.0 * sigma));
    vec4 sum = vec4(0.0);
    float weights = 0.0;
    for (int tap = -reach; tap <= reach; tap++) {
        float weight = exp(-float(tap * tap) / (2.0 * sigma * sigma));
        weights += weight;
        ivec2 at = center + tap * axis;
        if (any(lessThan(at, ivec2(0))) || any(greaterThanEqual(at, size))) continue;
        sum += weight * texelFetch(cells, at, 0);
    }
    blurred = sum / weights;
}
