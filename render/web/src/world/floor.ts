/** What lies on the ground: plates of islands, their rims, a grid. */

import { BufferAttribute, BufferGeometry, type Color, LineBasicMaterial, LineSegments, Mesh, MeshBasicMaterial, type Object3D } from "three";
import { ABSENT, DEGRADED, FAILING, HEALTHY, type Colours } from "./colours";
import type { World } from "./tables";

const RIM = 0.06;
const SICK_RIM = 0.14;

export class Ground {
  private readonly plates = new Mesh(new BufferGeometry(), new MeshBasicMaterial({ vertexColors: true, depthWrite: false }));
  private readonly rims = new Mesh(new BufferGeometry(), new MeshBasicMaterial({ vertexColors: true, depthWrite: false, side: 2 }));
  private readonly grid = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ vertexColors: true, transparent: true, depthWrite: false }));

  constructor() {
    this.plates.renderOrder = -3;
    this.grid.renderOrder = -4;
    this.rims.renderOrder = -2;
    for (const each of this.parts) each.frustumCulled = false;
  }

  get parts(): Object3D[] {
    return [this.grid, this.plates, this.rims];
  }

  /** Whoever stands on the ground sees it flatter, and needs more of it. */
  strengthen(times: number): void {
    this.grid.material.color.setScalar(times);
  }

  /** `size`: by how much rims grow, so that they are seen from where one stands. */
  paint(world: World, palette: Colours, size: number): void {
    const corners = world.table("corners");
    const floor = new Floor();
    const rim = new Floor();
    if (corners.rows > 0) {
      const [places, states, island] = [corners.numbers("place"), corners.numbers("state"), corners.numbers("island")];
      const cause = world.about.cause !== null;
      for (let first = 0; first < corners.rows; ) {
        let end = first;
        while (end < corners.rows && island[end] === island[first]) end++;
        const outline = Array.from(places.subarray(2 * first, 2 * end));
        floor.fan(outline, palette.plate);
        for (let corner = 0; corner < end - first; corner++) {
          const state = states[first + corner] ?? HEALTHY;
          const sick = state === DEGRADED || state === FAILING || state === ABSENT;
          if (state === ABSENT && corner % 2 === 1) continue; // dots
          if (state === DEGRADED && corner % 3 === 2) continue; // dashes
          const seen = cause ? (sick ? 0.62 : 0.3) : sick ? 1 : 0.75;
          const colour = palette.plate.clone().lerp(palette.marks[state] ?? palette.grid, seen);
          rim.band(outline, corner, (sick ? SICK_RIM : RIM) * size, colour);
        }
        first = end;
      }
    }
    floor.into(this.plates.geometry);
    rim.into(this.rims.geometry);
    this.paintGrid(corners.rows > 0 ? corners.numbers("place") : new Float32Array(), palette.grid);
  }

  /** A quiet ground that fades with the distance from the middle. */
  private paintGrid(places: ArrayLike<number>, { r, g, b }: Color): void {
    let reach = 0;
    for (let at = 0; at + 1 < places.length; at += 2) reach = Math.max(reach, Math.hypot(places[at] ?? 0, places[at + 1] ?? 0));
    reach += 40;
    const spacing = 3 * Math.max(1, reach / 80);
    const points: number[] = [];
    const shades: number[] = [];
    const put = (x: number, y: number) => {
      points.push(x, y, -0.12);
      shades.push(r, g, b, 0.75 * Math.max(0, 1 - Math.hypot(x, y) / reach) ** 0.8);
    };
    for (let tick = -reach; tick <= reach; tick += spacing) {
      for (let step = 0; step < 20; step++) {
        const [from, to] = [-reach + (step * reach) / 10, -reach + ((step + 1) * reach) / 10];
        put(from, tick);
        put(to, tick);
        put(tick, from);
        put(tick, to);
      }
    }
    this.grid.geometry.setAttribute("position", new BufferAttribute(new Float32Array(points), 3));
    this.grid.geometry.setAttribute("color", new BufferAttribute(new Float32Array(shades), 4));
  }
}

/** The middles of the plates, x, y, …, as the corners of their rims have them. */
export function middles(world: World): Float64Array {
  const corners = world.table("corners");
  if (corners.rows === 0) return new Float64Array();
  const [places, island] = [corners.numbers("place"), corners.numbers("island")];
  const count = (island[corners.rows - 1] ?? 0) + 1;
  const sums = new Float64Array(2 * count);
  const many = new Float64Array(count);
  for (let corner = 0; corner < corners.rows; corner++) {
    const of = island[corner] ?? 0;
    sums[2 * of]! += places[2 * corner] ?? 0;
    sums[2 * of + 1]! += places[2 * corner + 1] ?? 0;
    many[of]! += 1;
  }
  return sums.map((sum, at) => sum / (many[at >> 1] || 1));
}

/** Flat triangles with a colour each. */
class Floor {
  private readonly points: number[] = [];
  private readonly shades: number[] = [];

  /** A convex outline (x, y, …). */
  fan(outline: number[], colour: Color): void {
    for (let corner = 1; corner + 1 < outline.length / 2; corner++) {
      for (const each of [0, corner, corner + 1]) this.put(outline[2 * each] ?? 0, outline[2 * each + 1] ?? 0, 0, colour);
    }
  }

  /** One piece of a rim, from a corner to the next. */
  band(outline: number[], corner: number, wide: number, colour: Color): void {
    const next = (corner + 1) % (outline.length / 2);
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0] = [outline[2 * corner], outline[2 * corner + 1], outline[2 * next], outline[2 * next + 1]];
    const long = Math.hypot(x1 - x0, y1 - y0) || 1;
    const [sx, sy] = [(-(y1 - y0) / long) * wide, ((x1 - x0) / long) * wide];
    for (const [x, y] of [
      [x0 - sx, y0 - sy],
      [x1 - sx, y1 - sy],
      [x1 + sx, y1 + sy],
      [x0 - sx, y0 - sy],
      [x1 + sx, y1 + sy],
      [x0 + sx, y0 + sy],
    ] as const)
      this.put(x, y, 0.03, colour);
  }

  into(geometry: BufferGeometry): void {
    geometry.setAttribute("position", new BufferAttribute(new Float32Array(this.points), 3));
    geometry.setAttribute("color", new BufferAttribute(new Float32Array(this.shades), 3));
  }

  private put(x: number, y: number, z: number, { r, g, b }: Color): void {
    this.points.push(x, y, z);
    this.shades.push(r, g, b);
  }
}
