// The passes of the app's FramePasses and EffectPasses, in WebGL 2, which takes the same shaders.
// Given: shaders{name: source}, planes{luma, blue, red: {bytes, width, height}}, stride, size,
// degrees, mirrored, mask{bytes, width, height}, region, inner, spacing, cell, sigma, fill,
// backdrop{bytes, width, height} of RGBA, cover, effects[number].
// Result: {upright, matte, effects[…]}, RGBA bytes from the upper left corner. Bytes are in base64.
(given) => {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl) return null;
  gl.getExtension('EXT_color_buffer_float');
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);

  const compile = (kind, source) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw gl.getShaderInfoLog(shader);
    return shader;
  };
  const link = fragment => {
    const program = gl.createProgram();
    gl.attachShader(program, compile(gl.VERTEX_SHADER, given.shaders.quad_vertex));
    gl.attachShader(program, compile(gl.FRAGMENT_SHADER, given.shaders[fragment]));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw gl.getProgramInfoLog(program);
    return program;
  };
  const texture = filter => {
    const made = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, made);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER])
      gl.texParameteri(gl.TEXTURE_2D, side, filter);
    for (const axis of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, axis, gl.CLAMP_TO_EDGE);
    return made;
  };
  const load = ({bytes, width, height}, filter, inside = gl.R8, outside = gl.RED) => {
    const made = texture(filter);
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, width, height, 0, outside, gl.UNSIGNED_BYTE,
                  Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0)));
    return made;
  };
  const target = (width, height, format = gl.RGBA8) => {
    const made = texture(gl.LINEAR);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    const frame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, made, 0);
    return {texture: made, frame, width, height};
  };
  const draw = (fragment, to, textures, numbers) => {
    const program = link(fragment);
    gl.useProgram(program);
    const place = name => gl.getUniformLocation(program, name);
    Object.entries(textures).forEach(([name, source], unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, source);
      gl.uniform1i(place(name), unit);
    });
    for (const [name, [set, ...values]] of Object.entries(numbers)) gl[set](place(name), ...values);
    gl.bindFramebuffer(gl.FRAMEBUFFER, to.frame);
    gl.viewport(0, 0, to.width, to.height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  };
  const read = from => {
    const bytes = new Uint8Array(from.width * from.height * 4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, from.frame);
    gl.readPixels(0, 0, from.width, from.height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
  };

  const [width, height] = given.size;
  const size = ['uniform2i', width, height];
  const upright = target(width, height);
  draw('upright_fragment', upright, {
    luma: load(given.planes.luma, gl.NEAREST),
    blue: load(given.planes.blue, gl.NEAREST),
    red: load(given.planes.red, gl.NEAREST),
  }, {
    chroma_stride: ['uniform1i', given.stride],
    size,
    degrees: ['uniform1i', given.degrees],
    mirrored: ['uniform1i', given.mirrored],
  });

  const matte = target(width, height);
  draw('matte_fragment', matte, {picture: upright.texture, mask: load(given.mask, gl.LINEAR)}, {
    size,
    region: ['uniform4f', ...given.region],
    inner: ['uniform4f', ...given.inner],
    spacing: ['uniform1i', given.spacing],
  });

  const [columns, rows] = [width, height].map(side => Math.ceil(side / given.cell));
  const cells = target(columns, rows, gl.RGBA16F);
  const between = target(columns, rows, gl.RGBA16F);
  draw('cells_fragment', cells, {picture: upright.texture, matte: matte.texture},
       {size, cell: ['uniform1i', given.cell]});
  const sigma = ['uniform1f', given.sigma];
  draw('gauss_fragment', between, {cells: cells.texture}, {sigma, axis: ['uniform2i', 1, 0]});
  draw('gauss_fragment', cells, {cells: between.texture}, {sigma, axis: ['uniform2i', 0, 1]});

  const backdrop = load(given.backdrop, gl.LINEAR, gl.RGBA8, gl.RGBA);
  const effects = given.effects.map(effect => {
    const shown = target(width, height);
    draw('show_fragment', shown,
         {picture: upright.texture, matte: matte.texture, cells: cells.texture, backdrop}, {
      screen: ['uniform1i', 0],
      effect: ['uniform1i', effect],
      cell: ['uniform1f', given.cell],
      fill: ['uniform3f', ...given.fill],
      cover: ['uniform4f', ...given.cover],
    });
    return read(shown);
  });
  return {upright: read(upright), matte: read(matte), effects};
}
