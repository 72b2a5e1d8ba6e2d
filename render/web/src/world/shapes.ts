/** What everything is drawn with: one draw call a kind of body, one for all arcs, one for all rings. */

import {
  BufferAttribute,
  BufferGeometry,
  ConeGeometry,
  CylinderGeometry,
  IcosahedronGeometry,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  Mesh,
  OctahedronGeometry,
  PlaneGeometry,
  RingGeometry,
  ShaderMaterial,
  SphereGeometry,
  TorusGeometry,
  Vector2,
} from "three";

export const KINDS = 6;
/** A dome that stands for several. */
export const GROUP = 5;
/** More bodies than these are coarse, and balls are discs that are shaded as balls. */
export const LARGE = 300;
export const MANY_RINGS = 200;

const DOME = 0.34;

/** A ball, a drum, a bar, an octahedron, a cone on its tip: as in the window. z is up. */
export function bodyShape(kind: number, bodies: number): BufferGeometry {
  const round = bodies > LARGE ? 10 : 32;
  if (kind === 1) return new CylinderGeometry(0.86, 0.86, 1.5, round).rotateX(Math.PI / 2);
  if (kind === 2) return new CylinderGeometry(0.72, 0.72, 2.3, 6).rotateZ(Math.PI / 2);
  if (kind === 3) return new OctahedronGeometry(1.25);
  if (kind === GROUP) return new SphereGeometry(1, 16, 5, 0, 2 * Math.PI, 0, Math.PI / 2).rotateX(Math.PI / 2).scale(1, 1, DOME);
  if (kind === 4) return new ConeGeometry(0.9, 1.5, round).rotateX(-Math.PI / 2);
  return bodies > LARGE ? new PlaneGeometry(2, 2) : new IcosahedronGeometry(1, 5);
}

const BODY_VERTEX = `
attribute vec3 place; attribute float radius; attribute vec3 colour; attribute vec4 mark;
varying vec3 vNormal; varying vec3 vColour; varying vec4 vMark; varying float vSlant;
void main() {
  vColour = colour; vMark = mark;
  vNormal = normalize(normalMatrix * normal);
  vSlant = dot(position, vec3(0.75, 0.36, 0.555));
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place + position * radius, 1.0);
}`;
const BODY_FRAGMENT = `
varying vec3 vNormal; varying vec3 vColour; varying vec4 vMark; varying float vSlant;
void main() {
  vec3 n = normalize(vNormal);
  float front = max(0.0, dot(n, vec3(0.43, 0.33, 0.84)));
  float back = max(0.0, dot(n, vec3(-0.85, 0.5, 0.1)));
  float shine = pow(max(0.0, dot(n, vec3(0.224, 0.172, 0.959))), 17.0) * 0.22;
  vec3 lit = vColour * (0.3 + 0.75 * front + 0.2 * n.z) + back * 0.15 * vColour + shine;
  // Who should be there and is not: a void with hatching in the colour of its mark.
  float hatch = step(0.68, fract(vSlant * 3.0));
  gl_FragColor = vec4(vMark.a > 0.5 ? mix(vColour, vMark.rgb, hatch) : lit, 1.0);
}`;

const DISC_VERTEX = `
attribute vec3 place; attribute float radius; attribute vec3 colour; attribute vec4 mark;
varying vec2 vAcross; varying vec3 vColour; varying vec4 vMark;
void main() {
  vColour = colour; vMark = mark; vAcross = position.xy;
  vec4 view = modelViewMatrix * vec4(place, 1.0);
  view.xy += position.xy * radius * length(modelViewMatrix[0].xyz);
  gl_Position = projectionMatrix * view;
}`;
const DISC_FRAGMENT = BODY_FRAGMENT.replace("varying vec3 vNormal;", "varying vec2 vAcross;")
  .replace("varying float vSlant;", "")
  .replace(
    "vec3 n = normalize(vNormal);",
    "float across = dot(vAcross, vAcross); if (across > 1.0) discard; vec3 n = vec3(vAcross, sqrt(1.0 - across)); float vSlant = dot(vAcross, vec2(0.75, 0.66));",
  );

export function bodies(kind: number, all: number): Mesh<InstancedBufferGeometry, ShaderMaterial> {
  const discs = kind === 0 && all > LARGE;
  const material = new ShaderMaterial({ vertexShader: discs ? DISC_VERTEX : BODY_VERTEX, fragmentShader: discs ? DISC_FRAGMENT : BODY_FRAGMENT });
  return instanced(bodyShape(kind, all), material);
}

const ARC_VERTEX = `
uniform vec2 screen;
attribute vec3 begin; attribute vec3 middle; attribute vec3 end; attribute float radius;
attribute vec4 colour; attribute vec2 flow;
varying vec4 vColour; varying float vAlong; varying float vAcross; varying vec2 vFlow;
void main() {
  float t = position.x; float s = 1.0 - t;
  vec3 at = s * s * begin + 2.0 * s * t * middle + t * t * end;
  vec3 way = 2.0 * s * (middle - begin) + 2.0 * t * (end - middle);
  vec4 view = modelViewMatrix * vec4(at, 1.0);
  vec3 ahead = (modelViewMatrix * vec4(way, 0.0)).xyz;
  vec3 side = cross(ahead, view.xyz);
  side /= max(length(side), 1e-6);
  float pixel = -view.z / (projectionMatrix[1][1] * screen.y * 0.5);
  view.xyz += side * position.y * max(radius * length(modelViewMatrix[0].xyz), 0.9 * pixel);
  vColour = colour; vAlong = t; vAcross = position.y; vFlow = flow;
  // Paler where the call comes from, and where it would go through one's head.
  vColour.a *= mix(0.45, 1.0, t) * smoothstep(0.08, 0.6, -view.z);
  gl_Position = projectionMatrix * view;
}`;
const ARC_FRAGMENT = `
uniform float time; uniform vec3 light; uniform float lights;
varying vec4 vColour; varying float vAlong; varying float vAcross; varying vec2 vFlow;
void main() {
  float edge = 1.0 - 0.35 * vAcross * vAcross;
  // Light that goes the way of the requests; more of it where there are more.
  float pulse = fract(vAlong * vFlow.x - time * 0.45 + vFlow.y);
  float glow = lights * step(0.5, vFlow.x) * smoothstep(0.88, 0.985, pulse) * (1.0 - smoothstep(0.985, 1.0, pulse));
  // The critical path of a request: done as far as it has come, dashed from there on.
  if (vFlow.x < -0.5 && vAlong > vFlow.y) { if (fract(vAlong * 12.0) > 0.5) discard; gl_FragColor = vec4(vColour.rgb, 0.5); return; }
  gl_FragColor = vec4(mix(vColour.rgb * edge, light, glow), min(1.0, vColour.a + glow * 0.7 * step(0.02, vColour.a)));
}`;

export function arcs(segments: number): Mesh<InstancedBufferGeometry, ShaderMaterial> {
  const strip = new BufferGeometry();
  const corners = new Float32Array((segments + 1) * 6);
  const faces: number[] = [];
  for (let step = 0; step <= segments; step++) {
    corners.set([step / segments, -1, 0, step / segments, 1, 0], step * 6);
    if (step < segments) faces.push(2 * step, 2 * step + 1, 2 * step + 2, 2 * step + 1, 2 * step + 3, 2 * step + 2);
  }
  strip.setAttribute("position", new BufferAttribute(corners, 3));
  strip.setIndex(faces);
  const material = new ShaderMaterial({
    vertexShader: ARC_VERTEX,
    fragmentShader: ARC_FRAGMENT,
    uniforms: { screen: { value: new Vector2(1, 1) }, time: { value: 0 }, light: { value: null }, lights: { value: 0 } },
    transparent: true,
    depthWrite: false,
    side: 2,
  });
  return instanced(strip, material);
}

const RING_VERTEX = `
attribute vec3 place; attribute vec2 reach; attribute vec4 colour; attribute float parts;
varying vec4 vColour; varying float vAngle; varying float vParts;
void main() {
  vec2 way = normalize(position.xy);
  vec3 tube = vec3(position.xy - way, position.z) / 0.1;
  vAngle = atan(way.y, way.x) / 6.2831853; vParts = parts; vColour = colour;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(place + vec3(way * reach.x, 0.0) + tube * reach.y, 1.0);
}`;
const RING_FRAGMENT = `
varying vec4 vColour; varying float vAngle; varying float vParts;
void main() {
  if (vParts > 0.5 && fract(vAngle * vParts) > 0.62) discard;
  gl_FragColor = vColour;
}`;

/** Rings lie flat around what they mark; `parts` breaks them. Many are flat themselves. */
export function rings(): Mesh<InstancedBufferGeometry, ShaderMaterial> {
  const material = new ShaderMaterial({ vertexShader: RING_VERTEX, fragmentShader: RING_FRAGMENT, side: 2 });
  return instanced(ringShape(0), material);
}

export function ringShape(count: number): BufferGeometry {
  return count > MANY_RINGS ? new RingGeometry(0.9, 1.1, 18) : new TorusGeometry(1, 0.1, 5, 40);
}

/** The same instances in another shape. */
export function reshape(mesh: Mesh<InstancedBufferGeometry>, shape: BufferGeometry): void {
  mesh.geometry.setIndex(shape.getIndex());
  for (const name of ["position", "normal"]) mesh.geometry.setAttribute(name, shape.getAttribute(name));
}

/** Per-instance values of a mesh, so many floats each. */
export function fill(mesh: Mesh<InstancedBufferGeometry>, count: number, values: Record<string, [Float32Array, number]>): void {
  const geometry = mesh.geometry;
  for (const [name, [array, width]] of Object.entries(values)) {
    const there = geometry.getAttribute(name) as BufferAttribute | undefined;
    if (there !== undefined && there.array.length === array.length) {
      (there.array as Float32Array).set(array);
      there.needsUpdate = true;
    } else geometry.setAttribute(name, new InstancedBufferAttribute(array, width));
  }
  geometry.instanceCount = count;
  mesh.visible = count > 0;
}

function instanced(shape: BufferGeometry, material: ShaderMaterial): Mesh<InstancedBufferGeometry, ShaderMaterial> {
  const geometry = new InstancedBufferGeometry();
  geometry.setIndex(shape.getIndex());
  for (const name of ["position", "normal"]) {
    const attribute = shape.getAttribute(name);
    if (attribute !== undefined) geometry.setAttribute(name, attribute);
  }
  geometry.instanceCount = 0;
  const mesh = new Mesh(geometry, material);
  mesh.frustumCulled = false;
  mesh.visible = false;
  return mesh;
}
