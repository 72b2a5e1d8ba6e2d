/** Which connection somebody points at: by how its curve runs over the screen. */

import { Matrix4, type PerspectiveCamera } from "three";

const STEPS = 16;
const NEAR = 6;

/** Curves as `begin`, `middle`, `end` (x, y, z, …) have them; the place in them of the nearest one, null for none near. */
export function curveAt(ends: readonly ArrayLike<number>[], count: number, opacity: (number: number) => number, camera: PerspectiveCamera, screen: { width: number; height: number }, x: number, y: number): number | null {
  const matrix = new Matrix4().multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse).elements;
  const at = [0, 0, 0];
  const project = (px: number, py: number, pz: number) => {
    const w = matrix[3]! * px + matrix[7]! * py + matrix[11]! * pz + matrix[15]!;
    at[0] = (((matrix[0]! * px + matrix[4]! * py + matrix[8]! * pz + matrix[12]!) / w + 1) * screen.width) / 2;
    at[1] = ((1 - (matrix[1]! * px + matrix[5]! * py + matrix[9]! * pz + matrix[13]!) / w) * screen.height) / 2;
    at[2] = w;
  };
  const [begin, middle, end] = ends as [ArrayLike<number>, ArrayLike<number>, ArrayLike<number>];
  let found: number | null = null;
  let best = Infinity;
  for (let number = 0; number < count; number++) {
    if (opacity(number) < FAINT) continue;
    // A curve is inside of the corners that it is made of.
    let [left, right, above, below, behind] = [Infinity, -Infinity, Infinity, -Infinity, false];
    for (const corner of ends) {
      project(corner[3 * number]!, corner[3 * number + 1]!, corner[3 * number + 2]!);
      if (at[2]! <= camera.near) behind = true;
      left = Math.min(left, at[0]!);
      right = Math.max(right, at[0]!);
      above = Math.min(above, at[1]!);
      below = Math.max(below, at[1]!);
    }
    if (behind || x < left - NEAR || x > right + NEAR || y < above - NEAR || y > below + NEAR) continue;
    let [lastX, lastY] = [0, 0];
    for (let step = 0; step <= STEPS; step++) {
      const t = step / STEPS;
      const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t * t];
      const axis = (which: number) => a * begin[3 * number + which]! + b * middle[3 * number + which]! + c * end[3 * number + which]!;
      project(axis(0), axis(1), axis(2));
      if (step > 0) {
        const away = distance(x, y, lastX, lastY, at[0]!, at[1]!);
        // Of two that are as near, the one that is seen better.
        const score = away - 2 * opacity(number);
        if (away <= NEAR && score < best) [found, best] = [number, score];
      }
      [lastX, lastY] = [at[0]!, at[1]!];
    }
  }
  return found;
}

/** What nobody sees, nobody points at. */
const FAINT = 0.1;

function distance(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const [wide, tall] = [bx - ax, by - ay];
  const long = wide * wide + tall * tall;
  const t = long > 0 ? Math.min(1, Math.max(0, ((x - ax) * wide + (y - ay) * tall) / long)) : 0;
  return Math.hypot(x - ax - t * wide, y - ay - t * tall);
}
