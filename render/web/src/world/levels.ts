/** Which islands of a large world are open: those that somebody came near to or clicked, until the camera goes away. */

import type { World } from "./tables";

interface Place {
  x: number;
  y: number;
  z: number;
}

/** As `tracescape_render.levels`, whose numbers come with the world; what opening an island does, the collector knows. */
export class Levels {
  private near: string[] = [];
  /** Asked for: how far away the camera may go before it closes. */
  private readonly asked = new Map<string, number>();

  /** Keys of what is to be open, the first soonest. */
  get open(): string[] {
    return [...new Set([...this.asked.keys(), ...this.near])].slice(0, MOST);
  }

  /** What was opened by hand, in the order of asking. */
  get chosen(): string[] {
    return [...this.asked.keys()].reverse();
  }

  /** Opens a group until the camera, which is at `camera` now, has gone away; whether that is news. */
  ask(key: string, world: World, camera: Place): boolean {
    const rules = world.about.levels;
    const group = world.table("groups").words("key").indexOf(key);
    if (rules === null || group < 0) return false;
    const before = this.open.join(BETWEEN);
    const limit = Math.max(rules.left * away(world, group, camera), rules.closes * (world.table("groups").numbers("reach")[group] ?? 0));
    const others = [...this.asked].filter(([other]) => other !== key);
    this.asked.clear();
    this.asked.set(key, limit);
    for (const [other, far] of others) this.asked.set(other, far);
    return this.open.join(BETWEEN) !== before;
  }

  /** Opens what the camera is near to, and closes what it has left; whether anything changed. */
  approach(world: World, camera: Place): boolean {
    const rules = world.about.levels;
    const before = this.open.join(BETWEEN);
    if (rules === null) {
      this.near = [];
      this.asked.clear();
      return before !== "";
    }
    const groups = world.table("groups");
    const [keys, reach] = [groups.words("key"), groups.numbers("reach")];
    const was = new Set(this.near);
    const near: [number, string][] = [];
    const there = new Set<string>();
    keys.forEach((key, group) => {
      const far = away(world, group, camera);
      there.add(key);
      if (far < (was.has(key) ? rules.closes : rules.opens) * (reach[group] ?? 0)) near.push([far, key]);
      if (far > (this.asked.get(key) ?? Infinity)) this.asked.delete(key);
    });
    for (const key of this.asked.keys()) if (!there.has(key)) this.asked.delete(key);
    const nearest = near.sort(([a], [b]) => a - b).map(([, key]) => key);
    // Who is nearest of the same ones is no news.
    if (nearest.length !== was.size || nearest.some((key) => !was.has(key))) this.near = nearest;
    return this.open.join(BETWEEN) !== before;
  }
}

const BETWEEN = "\n\0";
/** An address must not get too long. */
const MOST = 150;

function away(world: World, group: number, { x, y, z }: Place): number {
  const centre = world.table("groups").numbers("centre");
  return Math.hypot((centre[2 * group] ?? 0) - x, (centre[2 * group + 1] ?? 0) - y, z);
}
