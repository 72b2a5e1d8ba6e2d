/** Around who is chosen: a ring that is turned to the head, since one that lies flat is a line from its side. One draw call. */

import { type Color, Mesh, MeshBasicMaterial, RingGeometry, Vector3 } from "three";

const INSIDE = 1.22;
const OUTSIDE = 1.36;
/** From afar it is as large as an angle. */
const LEAST = Math.tan((0.7 * Math.PI) / 180);

export class Outline {
  readonly mesh = new Mesh(new RingGeometry(INSIDE, OUTSIDE, 48), new MeshBasicMaterial({ depthTest: false, depthWrite: false, transparent: true, opacity: 0.95, side: 2 }));

  constructor() {
    this.mesh.up = new Vector3(0, 0, 1);
    this.mesh.renderOrder = 3;
    this.mesh.frustumCulled = false;
    this.mesh.visible = false;
  }

  dispose(): void {
    this.mesh.removeFromParent();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }

  paint(colour: Color): void {
    this.mesh.material.color.copy(colour);
  }

  /** Around a body, as `head` sees it; around nobody where there is none. */
  follow(places: ArrayLike<number> | null, body: number, radius: number, head: Vector3): void {
    const { mesh } = this;
    mesh.visible = places !== null && body >= 0;
    if (places === null || body < 0) return;
    mesh.position.set(places[3 * body] ?? 0, places[3 * body + 1] ?? 0, places[3 * body + 2] ?? 0);
    mesh.scale.setScalar(Math.max(radius, LEAST * mesh.position.distanceTo(head)));
    mesh.lookAt(head);
  }
}
