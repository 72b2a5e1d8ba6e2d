/** Where somebody with a headset on stands in the world, and how large it is to them. Their own space is in metres, y up. */

import { Group, Quaternion, Vector3 } from "three";
import type { World } from "../world/tables";

export type Scale = "table" | "room";

/** A body of usual size is a ball of 40 cm in a room. */
const ROOM = 0.25;
/** So wide is a world on a table, m. */
const TABLE = 1.7;
/** The table is so far below the eyes, and its edge so far away. */
const BELOW_EYES = 0.48;
const EDGE = 0.8;
/** A room is entered so far before it, m. */
const BEFORE = 1.2;
/** How far beyond its outermost bodies one may go, and above the highest, m. */
const MARGIN = 2;
const LOWEST = 0.25;
/** Nobody is put nearer to a body, m from its surface; places are tried around the one that is meant. */
const CLEAR = 0.55;
const TRIES = 40;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));
const X = new Vector3(1, 0, 0);
const Z = new Vector3(0, 0, 1);
const STANDING = new Quaternion().setFromAxisAngle(X, Math.PI / 2);

/** The middle of a world, and how far it reaches from there. */
export interface Extent {
  x: number;
  y: number;
  /** To the corners of what is there. */
  reach: number;
  /** To its nearer and its longer side. */
  deep: number;
  half: number;
  /** To its left and right, and how high its highest body is. */
  wide: number;
  top: number;
}

export function extentOf(world: World): Extent {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  const put = (x: number, y: number) => {
    [low[0], low[1]] = [Math.min(low[0]!, x), Math.min(low[1]!, y)];
    [high[0], high[1]] = [Math.max(high[0]!, x), Math.max(high[1]!, y)];
  };
  const bodies = world.table("bodies");
  let top = 0;
  if (bodies.rows > 0) {
    const places = bodies.numbers("position");
    for (let at = 0; at < places.length; at += 3) {
      put(places[at]!, places[at + 1]!);
      top = Math.max(top, places[at + 2]!);
    }
  }
  const corners = world.table("corners");
  if (corners.rows > 0) {
    const places = corners.numbers("place");
    for (let at = 0; at < places.length; at += 2) put(places[at]!, places[at + 1]!);
  }
  if (low[0]! > high[0]!) return { x: 0, y: 0, reach: 10, deep: 10, half: 10, wide: 10, top };
  const [wide, deep] = [Math.max(1, (high[0]! - low[0]!) / 2), Math.max(1, (high[1]! - low[1]!) / 2)];
  return { x: (low[0]! + high[0]!) / 2, y: (low[1]! + high[1]!) / 2, reach: Math.hypot(wide, deep), deep, half: Math.max(wide, deep), wide, top };
}

export class Rig {
  /** Own space in the world: what is in it is placed in metres. */
  readonly group = new Group();
  scale: Scale = "table";
  /** Metres of a unit of the world. */
  metres = ROOM;
  /** Where the ground is that one stands on, in the world's units. */
  ground = 0;
  extent: Extent = { x: 0, y: 0, reach: 10, deep: 10, half: 10, wide: 10, top: 0 };
  private yaw = 0;
  private readonly spot = new Vector3();
  private readonly from = new Vector3();
  private readonly turned = new Quaternion();

  /** Before the whole world: on a table, or in a room. The head is in own space. */
  enter(scale: Scale, world: World, head: Vector3, forward: Vector3): void {
    this.scale = scale;
    this.extent = extentOf(world);
    const { x, y, deep, half } = this.extent;
    const size = world.about.size || 1;
    this.metres = scale === "table" ? TABLE / 2 / half : ROOM / size;
    this.yaw = Math.atan2(forward.x, -forward.z);
    const away = deep * this.metres + (scale === "table" ? EDGE : BEFORE);
    this.ground = scale === "table" ? -Math.min(1.2, Math.max(0.5, head.y - BELOW_EYES)) / this.metres : 0;
    this.group.position.z = this.ground;
    this.moveTo(x, y - away / this.metres, head);
  }

  /** The head's place on the ground comes to stand at x, y of the world. */
  moveTo(x: number, y: number, head: Vector3): void {
    this.group.position.z = this.ground;
    this.anchor(this.spot.set(x, y, 0), head, false);
  }

  /** Turns around the head, to the left for positive angles. */
  turn(angle: number, head: Vector3): void {
    this.spot.copy(head);
    this.toWorld(this.spot);
    this.yaw += angle;
    this.anchor(this.spot, head, true);
  }

  /** Looks along x, y of the world with a head that looks along `forward` of own space. */
  face(x: number, y: number, head: Vector3, forward: Vector3): void {
    this.turn(Math.atan2(forward.x, -forward.z) - Math.atan2(x, y) - this.yaw, head);
  }

  /** Goes by metres of own space. */
  fly(by: Vector3, head: Vector3): void {
    this.spot.copy(head);
    const from = this.from.copy(this.toWorld(this.spot));
    this.spot.copy(by).multiplyScalar(1 / this.metres).applyQuaternion(this.group.quaternion);
    this.group.position.add(this.spot);
    this.group.updateMatrixWorld(true);
    this.spot.copy(head);
    this.toWorld(this.spot);
    const margin = MARGIN / this.metres;
    const { x, y, wide, deep, top } = this.extent;
    // Whoever was put further out is not pulled back at once, but goes no further.
    const kept = (to: number, at: number, low: number, high: number) => clamp(to, Math.min(low, at), Math.max(high, at)) - to;
    this.group.position.x += kept(this.spot.x, from.x, x - wide - margin, x + wide + margin);
    this.group.position.y += kept(this.spot.y, from.y, y - deep - margin, y + deep + margin);
    this.group.position.z += kept(this.spot.z, from.z, this.ground + LOWEST / this.metres, top + margin);
    this.group.updateMatrixWorld(true);
  }

  /** How far a place is from the next body's surface, m; the head is at its height above the ground that one stands on. */
  room(x: number, y: number, high: number, world: World): number {
    const table = world.table("bodies");
    if (table.rows === 0) return Infinity;
    const [places, radii] = [table.numbers("position"), table.numbers("radius")];
    const z = this.ground + high / this.metres;
    let least = Infinity;
    for (let body = 0; body < table.rows; body++) {
      least = Math.min(least, Math.hypot(places[3 * body]! - x, places[3 * body + 1]! - y, places[3 * body + 2]! - z) - 1.3 * radii[body]!);
    }
    return least * this.metres;
  }

  /** A place near this one where one's head is so far from all bodies, or as far as can be: further and further around it. */
  clear(x: number, y: number, high: number, world: World, wanted = CLEAR): [x: number, y: number] {
    let found: [number, number] = [x, y];
    let most = -Infinity;
    for (let step = 0; step < TRIES; step++) {
      const away = (0.3 * Math.sqrt(step)) / this.metres;
      const place: [number, number] = [x + away * Math.cos(step * GOLDEN), y + away * Math.sin(step * GOLDEN)];
      const room = this.room(...place, high, world);
      if (room >= wanted) return place;
      if (room > most) [most, found] = [room, place];
    }
    return found;
  }

  within(x: number, y: number): boolean {
    const margin = MARGIN / this.metres;
    return Math.abs(x - this.extent.x) <= this.extent.wide + margin && Math.abs(y - this.extent.y) <= this.extent.deep + margin;
  }

  /** A place of own space in the world. */
  toWorld(place: Vector3): Vector3 {
    return place.applyMatrix4(this.group.matrixWorld);
  }

  /** A place of the world in own space. */
  toOwn(place: Vector3): Vector3 {
    return place.sub(this.group.position).applyQuaternion(this.turned.copy(this.group.quaternion).invert()).multiplyScalar(this.metres);
  }

  private anchor(place: Vector3, head: Vector3, tall: boolean): void {
    const { group } = this;
    group.quaternion.setFromAxisAngle(Z, this.yaw).multiply(STANDING);
    group.scale.setScalar(1 / this.metres);
    const { x, y, z } = place;
    this.spot.copy(head).multiplyScalar(1 / this.metres).applyQuaternion(group.quaternion);
    group.position.set(x - this.spot.x, y - this.spot.y, tall ? z - this.spot.z : group.position.z);
    group.updateMatrixWorld(true);
  }
}

export const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));
