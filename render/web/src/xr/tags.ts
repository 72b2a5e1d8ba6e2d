/** Names in the world for a headset: one texture, one draw call; they never lie on each other, and are legible from anywhere. */

import { BufferAttribute, CanvasTexture, InstancedBufferAttribute, InstancedBufferGeometry, LinearFilter, LinearMipmapLinearFilter, Mesh, NoColorSpace, ShaderMaterial, Vector3 } from "three";
import { ABSENT, DEGRADED, FAILING } from "../world/codes";
import type { Stage } from "../world/stage";
import type { World } from "../world/tables";
import { cut, type Ink } from "./board";

const WIDE = 512;
const TALL = 80;
const COLUMNS = 4;
const ROWS = 12;
const SLOTS = COLUMNS * ROWS;
/** More than these at a time are a wall. */
const MOST = 28;
/** Of so many bodies, the most urgent first, names are tried. */
const TRIED = 2000;
const FIRST = 36;
const SECOND = 28;
/** What a pixel of a name measures: as an angle, and at least as a length. The first line is 1.3° high, the second 1°. */
export const DEGREES = 1.3 / FIRST;
const ANGLE = (DEGREES * Math.PI) / 180;
const LEAST = 0.0003;
/** Names beyond this from the middle of what one sees are not needed yet. */
const SIGHT = Math.cos((62 * Math.PI) / 180);

const VERTEX = `
uniform vec3 head; uniform float metres;
attribute vec3 place; attribute vec4 slot; attribute vec4 hang;
varying vec2 vPlace;
void main() {
  // Upright and turned to the head, not to each eye: both see the same thing.
  vec3 towards = head - place;
  float away = length(towards) * metres;
  towards = normalize(towards);
  vec3 right = normalize(cross(vec3(0.0, 0.0, 1.0), towards) + vec3(1e-6, 0.0, 0.0));
  vec3 up = cross(towards, right);
  float pixel = max(${LEAST.toFixed(6)}, away * ${ANGLE.toFixed(8)}) / metres;
  vec3 at = place + towards * hang.x + up * (hang.y * hang.x * 1.1 + (hang.y * 0.5 + position.y) * hang.w * pixel) + right * position.x * hang.z * pixel;
  vPlace = slot.xy + (position.xy + 0.5) * slot.zw;
  gl_Position = projectionMatrix * viewMatrix * vec4(at, 1.0);
}`;
const FRAGMENT = `
uniform sampler2D names; varying vec2 vPlace;
void main() {
  vec4 ink = texture2D(names, vPlace);
  if (ink.a < 0.02) discard;
  gl_FragColor = ink;
}`;

/** Bodies that are seen smaller than this hide no name that is worth minding, and of so many, the largest, it is minded. */
const MINDED = 0.006;
const MOST_MINDED = 64;
/** A name has so much room around it, of its size: until it is chosen anew, heads move. */
const ROOM = 0.54;

/** Whose names are chosen, and from where. */
export interface Sight {
  world: World;
  /** Bodies, the most urgent first. */
  order: readonly number[];
  head: Vector3;
  forward: Vector3;
  /** Metres of a unit of the world. */
  metres: number;
  chosen: string | null;
  hovered: number | null;
  /** The request that is replayed: then names say what it does with each. */
  ridden: Stage["ridden"];
}

/** A body as one sees it, as angles; how far what one sees of it is, m. */
interface Disc {
  turn: number;
  high: number;
  reach: number;
  front: number;
  body: number;
  /** Nobody else's name may lie on it: that would be taken for its own. */
  urgent: boolean;
}

type Offer = (wanted: Wanted) => boolean;

type Look = "" | "sick" | "island" | "flag" | "suspect" | "chosen" | "hovered";

interface Wanted {
  text: string;
  second: string;
  look: Look;
  place: Vector3;
  /** How large what it stands for is, in the world's units. */
  radius: number;
  /** -1: hangs below; 1: stands on it. */
  side: number;
  /** Nobody who is nearer may be before it. */
  free: boolean;
  /** Whose name it is, -1 for none of the bodies. */
  body: number;
}

interface Slot {
  key: string;
  number: number;
  wide: number;
  tall: number;
  used: number;
}

export class Tags {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  /** Who has a name now. */
  shown: string[] = [];
  private readonly canvas = document.createElement("canvas");
  private readonly pen: CanvasRenderingContext2D;
  private readonly texture: CanvasTexture;
  private readonly slots = new Map<string, Slot>();
  private readonly places = new Float32Array(MOST * 3);
  private readonly boxes = new Float32Array(MOST * 4);
  private readonly hung = new Float32Array(MOST * 4);
  private readonly taken = new Float32Array(MOST * 4);
  private readonly attributes: InstancedBufferAttribute[];
  private readonly way = new Vector3();
  private readonly up = new Vector3();
  private turn = 0;

  constructor() {
    [this.canvas.width, this.canvas.height] = [WIDE * COLUMNS, TALL * ROWS];
    const pen = this.canvas.getContext("2d");
    if (pen === null) throw new Error("this browser draws no writing");
    this.pen = pen;
    this.texture = new CanvasTexture(this.canvas);
    this.texture.colorSpace = NoColorSpace;
    this.texture.premultiplyAlpha = true;
    this.texture.minFilter = LinearMipmapLinearFilter;
    this.texture.magFilter = LinearFilter;
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(new Float32Array([-0.5, -0.5, 0, 0.5, -0.5, 0, 0.5, 0.5, 0, -0.5, 0.5, 0]), 3));
    geometry.setIndex([0, 1, 2, 0, 2, 3]);
    this.attributes = [new InstancedBufferAttribute(this.places, 3), new InstancedBufferAttribute(this.boxes, 4), new InstancedBufferAttribute(this.hung, 4)];
    ["place", "slot", "hang"].forEach((name, number) => geometry.setAttribute(name, this.attributes[number]!));
    geometry.instanceCount = 0;
    const material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: { names: { value: this.texture }, head: { value: new Vector3() }, metres: { value: 1 } },
      transparent: true,
      depthWrite: false,
      premultipliedAlpha: true,
      side: 2,
    });
    this.mesh = new Mesh(geometry, material);
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 4;
  }

  dispose(): void {
    this.mesh.removeFromParent();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
    this.texture.dispose();
  }

  /** Other colours: everything is written anew. */
  forget(): void {
    this.slots.clear();
  }

  /** Where the head is, each frame. */
  follow(head: Vector3, metres: number): void {
    const { uniforms } = this.mesh.material;
    (uniforms["head"]!.value as Vector3).copy(head);
    uniforms["metres"]!.value = metres;
  }

  /**
   * Chooses who has a name, not for each frame: the cause, whom a hand points at, who is chosen, the sick, the near.
   * None lies on another, from where the head is, nor behind who is nearer: half of a name is another name.
   */
  choose(sight: Sight, look: Ink): void {
    const { head, forward, metres } = sight;
    const discs = this.discs(sight);
    this.turn += 1;
    let used = 0;
    let written = false;
    const names: string[] = [];
    const offer: Offer = (wanted) => {
      if (used >= MOST) return false;
      this.way.copy(wanted.place).sub(head);
      const away = this.way.length() * metres;
      this.way.normalize();
      if (away < 0.1 || this.way.dot(forward) < SIGHT) return false;
      const key = `${wanted.look}\n${wanted.text}\n${wanted.second}`;
      const slot = this.slots.get(key) ?? this.slotFor(key);
      if (slot === null) return false;
      if (slot.wide === 0) {
        this.write(slot, wanted, look);
        written = true;
      }
      const pixel = Math.max(LEAST, away * ANGLE);
      // Where the shader hangs it: before the body, and upright as seen from the head.
      this.up.set(0, 0, 1).addScaledVector(this.way, -this.way.z).normalize();
      const ball = wanted.radius * metres;
      this.way.multiplyScalar(away - ball).addScaledVector(this.up, wanted.side * (1.1 * ball + 0.5 * slot.tall * pixel));
      const near = this.way.length();
      const turn = Math.atan2(this.way.x, this.way.y);
      const high = Math.asin(this.way.z / near);
      const level = Math.max(0.3, Math.cos(high));
      const [half, tall] = [(slot.wide * pixel * ROOM) / near / level, (slot.tall * pixel * ROOM) / near];
      for (let other = 0; other < used; other++) {
        if (apart(turn, this.taken[4 * other]!) < half + this.taken[4 * other + 2]! && Math.abs(high - this.taken[4 * other + 1]!) < tall + this.taken[4 * other + 3]!) return false;
      }
      if (wanted.free && discs.some((disc) => (disc.urgent || disc.front < near) && disc.body !== wanted.body && apart(turn, disc.turn) < half + disc.reach / level && Math.abs(high - disc.high) < tall + disc.reach)) return false;
      slot.used = this.turn;
      this.taken.set([turn, high, half, tall], 4 * used);
      wanted.place.toArray(this.places, 3 * used);
      const [column, row] = [slot.number % COLUMNS, Math.floor(slot.number / COLUMNS)];
      this.boxes.set([column / COLUMNS, 1 - (row * TALL + slot.tall) / (TALL * ROWS), slot.wide / (WIDE * COLUMNS), slot.tall / (TALL * ROWS)], 4 * used);
      this.hung.set([wanted.radius, wanted.side, slot.wide, slot.tall], 4 * used);
      names.push(wanted.text);
      used += 1;
      return true;
    };
    this.offerAll(sight, offer);
    this.shown = names;
    for (const attribute of this.attributes) attribute.needsUpdate = true;
    this.mesh.geometry.instanceCount = used;
    this.mesh.visible = used > 0;
    if (written) this.texture.needsUpdate = true;
  }

  /** The largest of those whom one sees, as angles. */
  private discs({ world, order, head, forward, metres, chosen, hovered, ridden }: Sight): Disc[] {
    const table = world.table("bodies");
    if (table.rows === 0) return [];
    const [places, radii, states] = [table.numbers("position"), table.numbers("radius"), table.numbers("state")];
    const told = new Set([hovered, chosen === null ? -1 : world.services.indexOf(chosen), world.about.cause?.body ?? -1]);
    const sick = (body: number) => ridden === null && (states[body] === DEGRADED || states[body] === FAILING || states[body] === ABSENT);
    const found: Disc[] = [];
    for (const body of order.slice(0, TRIED)) {
      this.way.fromArray(places, 3 * body).sub(head);
      const away = this.way.length();
      const reach = (radii[body] ?? 0) / Math.max(away, 1e-6);
      const urgent = told.has(body) || sick(body);
      if ((reach < MINDED && !urgent) || this.way.divideScalar(away).dot(forward) < SIGHT) continue;
      found.push({ turn: Math.atan2(this.way.x, this.way.y), high: Math.asin(this.way.z), reach, front: (away - 0.5 * (radii[body] ?? 0)) * metres, body, urgent });
    }
    return found.sort((one, other) => Number(other.urgent) - Number(one.urgent) || other.reach - one.reach).slice(0, MOST_MINDED);
  }

  private offerAll({ world, order, head, chosen, hovered, ridden }: Sight, offer: Offer): void {
    const table = world.table("bodies");
    if (table.rows === 0) return;
    const [places, radii, states] = [table.numbers("position"), table.numbers("radius"), table.numbers("state")];
    const [names, seconds] = [table.words("label"), table.words("subtitle")];
    const { cause, suspect } = world.about;
    const doing = (number: number) => ridden?.doing.says(world.services[number] ?? "", ridden.at) ?? seconds[number] ?? "";
    const body = (number: number, look: Look, certain = false) => {
      const wanted = { text: names[number] ?? "", second: doing(number), look, place: new Vector3().fromArray(places, 3 * number), radius: radii[number] ?? 0, body: number };
      // Below it, else above it; and whom a hand points at, also where somebody is before that.
      if (offer({ ...wanted, side: -1, free: true }) || offer({ ...wanted, side: 1, free: true }) || !certain) return;
      if (!offer({ ...wanted, side: -1, free: false })) offer({ ...wanted, side: 1, free: false });
    };
    const picked = chosen === null ? -1 : world.services.indexOf(chosen);
    const flag = (of: { name: string; top: number[] }, look: Look, second: string) => offer({ text: of.name, second, look, place: new Vector3().fromArray(of.top), radius: 0, side: 1, free: false, body: -1 });
    if (cause !== null && ridden === null) flag(cause, "flag", cause.reason);
    if (suspect !== null && ridden === null) flag(suspect, "suspect", `suspect, not proved: ${suspect.reason}`);
    if (hovered !== null && hovered < table.rows) body(hovered, "hovered", true);
    if (picked >= 0 && picked !== hovered) body(picked, "chosen");
    const others = order.slice(0, TRIED).filter((number) => number !== picked && number !== hovered);
    const urgent = (number: number) => {
      const state = states[number] ?? 0;
      return ridden === null ? state === DEGRADED || state === FAILING || state === ABSENT : ridden.doing.touches(world.services[number] ?? "");
    };
    const away = (number: number) => Math.hypot((places[3 * number] ?? 0) - head.x, (places[3 * number + 1] ?? 0) - head.y, (places[3 * number + 2] ?? 0) - head.z);
    const nearest = (of: number[]) => of.map((number) => [away(number), number] as const).sort(([one], [other]) => one - other).map(([, number]) => number);
    const first = others.filter(urgent);
    for (const number of ridden === null ? first : nearest(first)) body(number, ridden === null || doing(number).startsWith("✕") ? "sick" : "");
    for (const number of nearest(others.filter((each) => !urgent(each)))) body(number, "");
    const corners = world.table("corners");
    if (corners.rows === 0) return;
    const [outlines, island] = [corners.numbers("place"), corners.numbers("island")];
    world.table("islands").words("name").forEach((text, number) => {
      // The first corner of a plate is the one in front.
      const first = island.indexOf(number as never);
      if (text !== "" && first >= 0) offer({ text, second: "", look: "island", place: new Vector3(outlines[2 * first], outlines[2 * first + 1], 0), radius: 0, side: -1, free: true, body: -1 });
    });
  }

  private slotFor(key: string): Slot | null {
    let number = this.slots.size;
    if (number >= SLOTS) {
      let oldest: Slot | null = null;
      for (const slot of this.slots.values()) if (slot.used < this.turn && (oldest === null || slot.used < oldest.used)) oldest = slot;
      if (oldest === null) return null;
      this.slots.delete(oldest.key);
      number = oldest.number;
    }
    const slot = { key, number, wide: 0, tall: 0, used: this.turn };
    this.slots.set(key, slot);
    return slot;
  }

  private write(slot: Slot, { text, second, look }: Wanted, ink: Ink): void {
    const { pen } = this;
    const [left, top] = [(slot.number % COLUMNS) * WIDE, Math.floor(slot.number / COLUMNS) * TALL];
    const font = (size: number, weight: number) => (pen.font = `${weight} ${size}px system-ui, 'Segoe UI', Roboto, sans-serif`);
    const heavy = look === "" || look === "island" ? 500 : 700;
    font(FIRST, heavy);
    const first = cut(pen, text, WIDE - 28);
    const long = pen.measureText(first).width;
    font(SECOND, 500);
    const below = second === "" ? "" : cut(pen, second, WIDE - 28);
    slot.wide = Math.min(WIDE, Math.ceil(Math.max(long, below === "" ? 0 : pen.measureText(below).width) + 24));
    slot.tall = below === "" ? 48 : TALL;
    pen.clearRect(left, top, WIDE, TALL);
    pen.save();
    pen.beginPath();
    pen.rect(left, top, WIDE, TALL);
    pen.clip();
    if (look !== "island") {
      pen.beginPath();
      pen.roundRect(left + 1.5, top + 1.5, slot.wide - 3, slot.tall - 3, 9);
      pen.fillStyle = look === "flag" ? ink.cause : ink.plate;
      pen.globalAlpha = look === "" ? 0.82 : 1;
      pen.fill();
      pen.globalAlpha = 1;
      if (look !== "" && look !== "flag") {
        pen.lineWidth = 3;
        pen.strokeStyle = look === "suspect" ? ink.cause : look === "sick" ? ink.quiet : ink.selection;
        pen.setLineDash(look === "suspect" ? [8, 6] : []);
        pen.stroke();
        pen.setLineDash([]);
      }
    }
    pen.fillStyle = look === "flag" ? ink.causeInk : look === "island" ? ink.quiet : ink.text;
    pen.textAlign = "center";
    font(FIRST, heavy);
    pen.fillText(first, left + slot.wide / 2, top + 36);
    font(SECOND, 500);
    if (below !== "") pen.fillText(below, left + slot.wide / 2, top + 69);
    pen.restore();
  }
}

/** How far two directions are from each other, around. */
const apart = (one: number, other: number) => Math.abs(Math.atan2(Math.sin(one - other), Math.cos(one - other)));
