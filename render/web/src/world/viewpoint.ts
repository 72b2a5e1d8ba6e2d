/** Where the camera stands: what shows everything, flights, and how an address says it. */

import { type PerspectiveCamera, Vector3 } from "three";

export interface View {
  from: Vector3;
  to: Vector3;
}

/** From in front and above. */
const DIRECTION = new Vector3(0, -1, 0.72).normalize();
const SLACK = 1.06;
const TURNS = 6;

/** Six numbers, as `--view` of `tracescape explore` has them. */
export function written({ from, to }: View): string {
  return [...from.toArray(), ...to.toArray()].map((value) => Number(value.toPrecision(5))).join(",");
}

export function parsedView(text: string | undefined): View | null {
  const numbers = (text ?? "").split(",").map(Number);
  if (text === undefined || numbers.length !== 6 || !numbers.every((value) => Number.isFinite(value) && Math.abs(value) < 1e7)) return null;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = numbers;
  const view = { from: new Vector3(a, b, c), to: new Vector3(d, e, f) };
  return view.from.distanceTo(view.to) > 1e-6 ? view : null;
}

/** The nearest view that has all `points` (x, y, z, …) in it. */
export function around(points: ArrayLike<number>, camera: PerspectiveCamera): View {
  const low = new Vector3(Infinity, Infinity, Infinity);
  const high = low.clone().negate();
  const point = new Vector3();
  for (let at = 0; at + 2 < points.length; at += 3) {
    point.set(points[at] ?? 0, points[at + 1] ?? 0, points[at + 2] ?? 0);
    low.min(point);
    high.max(point);
  }
  if (low.x > high.x) return { from: DIRECTION.clone().multiplyScalar(20), to: new Vector3() };
  const to = low.clone().add(high).multiplyScalar(0.5);
  const tall = Math.tan((camera.fov * Math.PI) / 360) / SLACK;
  const wide = tall * camera.aspect;
  const right = new Vector3(1, 0, 0);
  const up = new Vector3().crossVectors(DIRECTION, right);
  let away = 6;
  // What is near looks larger: the middle of what is seen is not the middle of what is there.
  for (let turn = 0; turn < TURNS; turn++) {
    const extent = { left: Infinity, right: -Infinity, low: Infinity, high: -Infinity };
    let needed = 6;
    for (let at = 0; at + 2 < points.length; at += 3) {
      point.set(points[at] ?? 0, points[at + 1] ?? 0, points[at + 2] ?? 0).sub(to);
      const [near, across, above] = [point.dot(DIRECTION), point.dot(right), point.dot(up)];
      needed = Math.max(needed, near + Math.abs(across) / wide, near + Math.abs(above) / tall);
      const depth = Math.max(away - near, 1);
      extent.left = Math.min(extent.left, across / depth);
      extent.right = Math.max(extent.right, across / depth);
      extent.low = Math.min(extent.low, above / depth);
      extent.high = Math.max(extent.high, above / depth);
    }
    away = needed;
    if (turn + 1 === TURNS) break;
    if (turn > 0) to.addScaledVector(right, ((extent.left + extent.right) / 2) * away).addScaledVector(up, ((extent.low + extent.high) / 2) * away);
  }
  return { from: to.clone().addScaledVector(DIRECTION, away), to };
}

/** Near to one place, looking the way that one does now. */
export function near(place: Vector3, away: number, now: View): View {
  const way = now.from.clone().sub(now.to).normalize();
  if (way.z < 0.15) way.setZ(0.4).normalize();
  return { from: place.clone().addScaledVector(way, away), to: place.clone() };
}
