/** What calms: the edge of sight darkens while one flies, and all of it for a blink when one is put elsewhere. One draw call, if any. */

import { BufferAttribute, BufferGeometry, Mesh, ShaderMaterial } from "three";

/** From here to there it gets dark, as tangents of the angle from the middle. */
const OPEN = 2.5;
const NARROW = Math.tan((24 * Math.PI) / 180);
const BLINK_MS = 160;
/** How fast it closes and opens, per second. */
const CLOSING = 6;

const VERTEX = `
varying vec2 vAngle;
void main() {
  // The middle of sight is where the eye looks, not the middle of its picture.
  vAngle = vec2((position.x + projectionMatrix[2][0]) / projectionMatrix[0][0], (position.y + projectionMatrix[2][1]) / projectionMatrix[1][1]);
  gl_Position = vec4(position.xy, 0.0, 1.0);
}`;
const FRAGMENT = `
uniform float reach; uniform float shut; varying vec2 vAngle;
void main() {
  float dark = max(shut, smoothstep(reach, reach * 1.7, length(vAngle)));
  if (dark < 0.004) discard;
  gl_FragColor = vec4(0.0, 0.0, 0.0, dark);
}`;

export class Vignette {
  readonly mesh: Mesh<BufferGeometry, ShaderMaterial>;
  private closed = 0;
  private blinked = -Infinity;

  constructor() {
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3));
    const material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: { reach: { value: OPEN }, shut: { value: 0 } },
      transparent: true,
      depthTest: false,
      depthWrite: false,
    });
    this.mesh = new Mesh(geometry, material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 10;
    this.mesh.visible = false;
  }

  blink(now: number): void {
    this.blinked = now;
  }

  update(now: number, seconds: number, moving: boolean): void {
    const step = CLOSING * seconds;
    this.closed = Math.min(1, Math.max(0, this.closed + (moving ? step : -step)));
    const shut = Math.max(0, 1 - (now - this.blinked) / BLINK_MS);
    this.mesh.material.uniforms["reach"]!.value = OPEN + (NARROW - OPEN) * Math.sqrt(this.closed);
    this.mesh.material.uniforms["shut"]!.value = shut;
    this.mesh.visible = this.closed > 0 || shut > 0;
  }

  dispose(): void {
    this.mesh.removeFromParent();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}
