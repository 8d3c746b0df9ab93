#version 300 es
// One triangle that covers the target; `place` is 0-1 in it, its first row on top.
uniform bool screen;  // whose first row is at the bottom
out vec2 place;

void main() {
    vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
    place = screen ? vec2(corner.x, 1.0 - corner.y) : corner;
    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
