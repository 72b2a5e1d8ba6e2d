/** Both hands: rays that point and press, and sticks. What they meet is asked of whoever holds them. */

import { Color, Vector3, type Group, type Mesh, type WebGLRenderer, type InstancedBufferGeometry, type ShaderMaterial } from "three";
import type { World } from "../world/tables";
import { arcs, bodies, fill, rings } from "../world/shapes";
import type { Board, Spot } from "./board";
import type { Rig } from "./rig";

const DEAD = 0.15;
const PUSHED = 0.65;
const LET_GO = 0.35;
/** A body counts as met where the ray goes by so near: in the body's radii, and as an angle. */
const GENEROUS = 1.25;
const SLACK = Math.tan((0.8 * Math.PI) / 180);
/** How far a ray is seen that meets nothing, m. */
const LONG = 6;
/** What is thrown to teleport, m/s and m/s². */
const THROW = 7.5;
const GRAVITY = 9.8;

export interface Hand {
  source: XRInputSource | null;
  /** Its ray, in own space. */
  readonly from: Vector3;
  readonly way: Vector3;
  /** Whether it is seen at all. */
  there: boolean;
  /** How far the ray goes, m; what it meets. */
  length: number;
  body: number | null;
  board: Board | null;
  /** A place that is held, on its board. */
  held: { board: Board; spot: Spot } | null;
  pressed: boolean;
  stick: { x: number; y: number };
  squeezes: boolean;
  buttons: boolean[];
  armed: boolean;
  throwing: boolean;
}

export interface Asked {
  press(hand: Hand): void;
  release(hand: Hand): void;
  turn(side: number): void;
  fly(x: number, y: number, hand: Hand): void;
  teleport(x: number, y: number): void;
  button(number: number): void;
}

export class Hands {
  readonly hands: Hand[];
  /** Where a teleport would go to, in the world; null where nobody may go. */
  readonly target = new Vector3();
  aimed: "no" | "bad" | "good" = "no";
  readonly meshes: Mesh<InstancedBufferGeometry, ShaderMaterial>[];
  private readonly rays = arcs(20);
  private readonly marks = rings();
  private readonly grips = bodies(0, 0);
  private readonly groups: Group[];
  private readonly undo: (() => void)[] = [];
  private readonly begins = new Float32Array(9);
  private readonly middles = new Float32Array(9);
  private readonly ends = new Float32Array(9);
  private readonly radii = new Float32Array(3);
  private readonly shades = new Float32Array(12);
  private readonly flows = new Float32Array(6);
  private readonly gripPlaces = new Float32Array(6);
  private readonly gripRadii = new Float32Array(2);
  private readonly gripShades = new Float32Array(6);
  private readonly gripMarks = new Float32Array(8);
  private readonly ringPlaces = new Float32Array(12);
  private readonly ringReach = new Float32Array(8);
  private readonly ringShades = new Float32Array(16);
  private readonly ringParts = new Float32Array(4);
  private world: World | null = null;
  private boards: readonly Board[] = [];
  private readonly origin = new Vector3();
  private readonly direction = new Vector3();
  private readonly spot = new Vector3();
  private colour = new Color();
  private warning = new Color();
  private quiet = new Color();

  constructor(
    renderer: WebGLRenderer,
    private readonly rig: Rig,
    private readonly asked: Asked,
  ) {
    this.groups = [0, 1].map((number) => renderer.xr.getController(number));
    this.hands = this.groups.map((group) => this.hand(group));
    this.meshes = [this.rays, this.marks, this.grips];
    this.rays.renderOrder = 7;
    this.marks.renderOrder = 7;
    rig.group.add(...this.meshes);
    this.rays.material.uniforms["light"]!.value = new Color();
    this.marks.material.transparent = true;
  }

  dispose(): void {
    for (const undo of this.undo) undo();
    for (const mesh of this.meshes) {
      mesh.removeFromParent();
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
  }

  paint(colour: Color, warning: Color, quiet: Color): void {
    this.quiet = quiet;
    this.colour = colour;
    this.warning = warning;
  }

  /** The hand that points at something. */
  get pointing(): Hand | null {
    return this.hands.find((hand) => hand.there && (hand.held !== null || hand.body !== null || hand.board !== null)) ?? null;
  }

  /** A frame: what the rays meet, what the sticks say. */
  update(world: World | null, boards: readonly Board[]): void {
    this.aimed = "no";
    this.world = world;
    this.boards = boards;
    for (let number = 0; number < this.hands.length; number++) {
      const hand = this.hands[number]!;
      this.look(hand, this.groups[number]!);
      if (hand.there) this.sticks(hand);
    }
  }

  /** Draws rays, the arc of a throw and where it lands: three draw calls. */
  draw(): void {
    let count = 0;
    let grips = 0;
    let marks = 0;
    const { colour, warning } = this;
    for (const hand of this.hands) {
      if (!hand.there) continue;
      const { from, way } = hand;
      if (hand.throwing) {
        // What flies freely is a parabola, which has one control point.
        const shade = this.aimed === "good" ? colour : warning;
        const time = hand.length;
        from.toArray(this.begins, 3 * count);
        this.spot.copy(way).multiplyScalar((THROW * time) / 2).add(from).toArray(this.middles, 3 * count);
        this.spot.copy(way).multiplyScalar(THROW * time).add(from);
        this.spot.y -= (GRAVITY / 2) * time * time;
        this.spot.toArray(this.ends, 3 * count);
        this.shade(count, shade, 0.008, 0.95);
        this.spot.y += 0.01;
        marks = this.mark(marks, this.spot, 0.28, shade, this.aimed === "good" ? 0 : 8);
        if (this.aimed === "good") marks = this.mark(marks, this.spot, 0.12, shade, 0);
      } else {
        const long = hand.body === null && hand.board === null ? Math.min(hand.length, LONG) : hand.length;
        from.toArray(this.begins, 3 * count);
        this.spot.copy(way).multiplyScalar(long / 2).add(from).toArray(this.middles, 3 * count);
        this.spot.copy(way).multiplyScalar(long).add(from).toArray(this.ends, 3 * count);
        const meets = hand.body !== null || hand.board !== null;
        this.shade(count, colour, meets ? 0.004 : 0.0025, meets ? 0.95 : 0.45);
      }
      count += 1;
      from.toArray(this.gripPlaces, 3 * grips);
      this.gripRadii[grips] = 0.014;
      this.quiet.toArray(this.gripShades, 3 * grips);
      grips += 1;
    }
    fill(this.rays, count, { begin: [this.begins, 3], middle: [this.middles, 3], end: [this.ends, 3], radius: [this.radii, 1], colour: [this.shades, 4], flow: [this.flows, 2] });
    fill(this.grips, grips, { place: [this.gripPlaces, 3], radius: [this.gripRadii, 1], colour: [this.gripShades, 3], mark: [this.gripMarks, 4] });
    fill(this.marks, marks, { place: [this.ringPlaces, 3], reach: [this.ringReach, 2], colour: [this.ringShades, 4], parts: [this.ringParts, 1] });
  }

  /** For rays as thin as a pixel at least. */
  tick(width: number, height: number): void {
    (this.rays.material.uniforms["screen"]!.value as { set(x: number, y: number): void }).set(width, height);
  }

  private shade(number: number, colour: Color, radius: number, opacity: number): void {
    this.radii[number] = radius;
    colour.toArray(this.shades, 4 * number);
    this.shades[4 * number + 3] = opacity;
  }

  private mark(number: number, place: Vector3, reach: number, colour: Color, parts: number): number {
    place.toArray(this.ringPlaces, 3 * number);
    this.ringReach[2 * number] = reach;
    this.ringReach[2 * number + 1] = 0.1 * reach;
    colour.toArray(this.ringShades, 4 * number);
    this.ringShades[4 * number + 3] = 0.9;
    this.ringParts[number] = parts;
    return number + 1;
  }

  private hand(group: Group): Hand {
    const hand: Hand = {
      source: null,
      from: new Vector3(),
      way: new Vector3(0, 0, -1),
      there: false,
      length: LONG,
      body: null,
      board: null,
      held: null,
      pressed: false,
      stick: { x: 0, y: 0 },
      squeezes: false,
      buttons: [],
      armed: true,
      throwing: false,
    };
    const on = (name: string, does: (event: { data?: XRInputSource }) => void) => {
      const controller = group as unknown as { addEventListener(name: string, does: unknown): void; removeEventListener(name: string, does: unknown): void };
      controller.addEventListener(name, does);
      this.undo.push(() => controller.removeEventListener(name, does));
    };
    on("connected", ({ data }) => (hand.source = data ?? null));
    on("disconnected", () => {
      hand.source = null;
      hand.pressed = false;
      this.asked.release(hand);
    });
    on("selectstart", () => {
      hand.pressed = true;
      // A pinch that is there only while it presses has met nothing before.
      this.look(hand, group);
      this.asked.press(hand);
    });
    on("selectend", () => {
      hand.pressed = false;
      if (hand.throwing) this.land(hand);
      this.asked.release(hand);
    });
    return hand;
  }

  /** Where a hand is now, and what its ray meets. */
  private look(hand: Hand, group: Group): void {
    hand.there = hand.source !== null && group.visible;
    [hand.body, hand.board] = [null, null];
    if (!hand.there) return;
    hand.from.copy(group.position);
    hand.way.set(0, 0, -1).applyQuaternion(group.quaternion);
    this.meet(hand, this.world, this.boards);
  }

  /** What a ray meets first: a board, or a body. */
  private meet(hand: Hand, world: World | null, boards: readonly Board[]): void {
    hand.board = null;
    hand.body = null;
    hand.length = LONG;
    if (hand.held !== null) {
      const away = hand.held.board.hit(hand.from, hand.way, true);
      if (away !== null) [hand.board, hand.length] = [hand.held.board, away];
      return;
    }
    for (const board of boards) {
      const away = board.hit(hand.from, hand.way);
      if (away !== null && (hand.board === null || away < hand.length)) [hand.board, hand.length] = [board, away];
    }
    if (world === null) return;
    const found = this.bodyOn(hand, world);
    if (found !== null && (hand.board === null || found.away < hand.length)) [hand.body, hand.board, hand.length] = [found.body, null, found.away];
    // Which of the boards it was may have been overwritten by the next one.
    if (hand.board !== null) hand.board.hit(hand.from, hand.way);
  }

  private readonly found = { body: 0, away: 0 };

  private bodyOn(hand: Hand, world: World): { body: number; away: number } | null {
    const table = world.table("bodies");
    if (table.rows === 0) return null;
    const [places, radii] = [table.numbers("position"), table.numbers("radius")];
    const { origin, direction } = this;
    origin.copy(hand.from);
    this.rig.toWorld(origin);
    direction.copy(hand.way).applyQuaternion(this.rig.group.quaternion);
    let best = Infinity;
    for (let body = 0; body < table.rows; body++) {
      const [x, y, z] = [places[3 * body]! - origin.x, places[3 * body + 1]! - origin.y, places[3 * body + 2]! - origin.z];
      const along = x * direction.x + y * direction.y + z * direction.z;
      if (along <= 0) continue;
      const beside = Math.sqrt(Math.max(0, x * x + y * y + z * z - along * along));
      const radius = radii[body]!;
      const near = Math.max(radius * GENEROUS, radius + SLACK * along);
      if (beside > near) continue;
      // Nearer ones are in front, and hits in the middle are meant.
      const score = along * (1 + 0.3 * (beside / near));
      if (score < best) {
        best = score;
        this.found.body = body;
        this.found.away = Math.max(0, along - radius * 0.6) * this.rig.metres;
      }
    }
    return best < Infinity ? this.found : null;
  }

  private sticks(hand: Hand): void {
    const pad = hand.source?.gamepad;
    if (pad == null || pad.axes.length < 2) {
      // A hand or a glance has no stick: what is pressed on the ground is where it wants to go.
      hand.throwing = hand.pressed && hand.held === null && hand.body === null && hand.board === null;
      if (hand.throwing) this.throw(hand);
      return;
    }
    const first = pad.axes.length >= 4 ? 2 : 0;
    const [x, y] = [pad.axes[first] ?? 0, pad.axes[first + 1] ?? 0];
    [hand.stick.x, hand.stick.y] = [x, y];
    hand.squeezes = pad.buttons[1]?.pressed === true;
    for (const number of [4, 5]) {
      const down = pad.buttons[number]?.pressed === true;
      if (down && hand.buttons[number] !== true) this.asked.button(number);
      hand.buttons[number] = down;
    }
    // The left one flies, the right one teleports and turns; squeezed, they change their parts.
    const flies = (hand.source?.handedness === "left") !== hand.squeezes;
    if (flies && !hand.throwing) {
      if (Math.hypot(x, y) > DEAD) this.asked.fly(x, y, hand);
      return;
    }
    if (y < -PUSHED && Math.abs(x) < 0.7) hand.throwing = true;
    if (hand.throwing) {
      if (y > -LET_GO) this.land(hand);
      else this.throw(hand);
      return;
    }
    if (Math.abs(x) < LET_GO) hand.armed = true;
    else if (hand.armed && Math.abs(x) > PUSHED) {
      hand.armed = false;
      this.asked.turn(x < 0 ? 1 : -1);
    }
  }

  /** Where what is thrown comes down on the ground that one stands on. */
  private throw(hand: Hand): void {
    const { rig } = this;
    const ground = (rig.ground - rig.group.position.z) * rig.metres;
    const rise = THROW * hand.way.y;
    const under = Math.max(0, hand.from.y - ground);
    const time = (rise + Math.sqrt(rise * rise + 2 * GRAVITY * under)) / GRAVITY;
    hand.length = time;
    [hand.body, hand.board] = [null, null];
    this.target.copy(hand.way).multiplyScalar(THROW * time).add(hand.from);
    this.target.y = ground;
    rig.toWorld(this.target);
    this.aimed = rig.within(this.target.x, this.target.y) ? "good" : "bad";
  }

  private land(hand: Hand): void {
    hand.throwing = false;
    if (this.rig.within(this.target.x, this.target.y)) this.asked.teleport(this.target.x, this.target.y);
  }
}
