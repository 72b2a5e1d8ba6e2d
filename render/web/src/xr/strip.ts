/** All that is stored as a strip to grab, below where one looks; while a request is replayed, its time instead. */

import { Vector3 } from "three";
import { ask } from "../ask";
import type { About, Moment, Replay, Step } from "../documents";
import { dated, ms } from "../format";
import { change, parsed } from "../route";
import type { Pace } from "../world/pace";
import type { World } from "../world/tables";
import { named, standing } from "../world/telling";
import { Board, type Ink, type Spot } from "./board";
import { angle } from "./panel";
import { clamp } from "./rig";

const WIDE = 1536;
const TALL = 420;
const PIXEL = 0.00068;
const AHEAD = 0.66;
const BELOW = 0.58;
/** Turned away from it so far, it comes along. */
const BEYOND = 0.8;
const LEFT = 40;
const RIGHT = WIDE - LEFT;
const TOP = 150;
const BOTTOM = 270;
export const TEXT = 30;
const MINUTE = 60_000;
/** What a moment looks back on, as on the page. */
const WIDTH = 5 * MINUTE;
const RESTED_MS = 150;

export interface StripAsks {
  scale(): void;
  turn(): void;
  everything(): void;
  leave(): void;
  play(): void;
  /** To a share of the play. */
  seek(share: number): void;
  stop(): void;
}

/** A request; what is played evenly is drawn evenly. */
export interface Ridden {
  replay: Replay;
  pace: Pace;
  at: number;
  playing: boolean;
}

export interface StripState {
  scale: string;
  degrees: number;
  ride: Ridden | null;
  problem: string | null;
}

export class Strip {
  readonly board = new Board(WIDE, TALL, PIXEL);
  told: string[] = [];
  private about: About | null = null;
  private steps: Step[] = [];
  private dragged: number | null = null;
  private due = 0;
  private following = true;
  private readonly asking = new AbortController();
  private readonly goal = new Vector3();
  private readonly gaze = new Vector3();

  constructor(private readonly asks: StripAsks) {}

  dispose(): void {
    this.asking.abort();
    clearTimeout(this.due);
    this.board.dispose();
  }

  /** Asks what is stored; the rest of the strip works without. */
  async load(): Promise<void> {
    try {
      const { signal } = this.asking;
      const [about, line] = await Promise.all([ask<About>("about", {}, signal), ask<{ steps: Step[] }>("timeline", {}, signal)]);
      [this.about, this.steps] = [about, line.steps];
    } catch {
      // the page's own line says that the collector does not answer
    }
  }

  /** Another moment has arrived. */
  arrived(): void {
    this.dragged = null;
  }

  place(head: Vector3, forward: Vector3): void {
    const turn = Math.atan2(forward.x, -forward.z);
    this.goal.set(head.x + Math.sin(turn) * AHEAD, head.y - BELOW, head.z - Math.cos(turn) * AHEAD);
    this.board.hang(this.goal, head);
    this.board.mesh.visible = true;
  }

  follow(seconds: number, head: Vector3, forward: Vector3): void {
    const { mesh } = this.board;
    this.gaze.copy(mesh.position).sub(head);
    const flat = Math.hypot(this.gaze.x, this.gaze.z);
    const turned = Math.abs(angle(Math.atan2(this.gaze.x, -this.gaze.z) - Math.atan2(forward.x, -forward.z)));
    if (turned > BEYOND || flat > 1.3 || flat < 0.35) this.following = true;
    if (!this.following) return;
    const turn = Math.atan2(forward.x, -forward.z);
    this.goal.set(head.x + Math.sin(turn) * AHEAD, head.y - BELOW, head.z - Math.cos(turn) * AHEAD);
    this.gaze.copy(mesh.position).lerp(this.goal, 1 - Math.exp(-5 * seconds));
    this.board.hang(this.gaze, head);
    if (this.gaze.distanceTo(this.goal) < 0.03) this.following = false;
  }

  write(world: World, look: Ink, state: StripState): void {
    const { board } = this;
    this.told = [];
    const { past } = world.about;
    board.begin(look.plate, past ? look.past : look.grid);
    if (state.ride === null) this.headline(world, look, state);
    else this.request(state.ride, past ? world.about.until_ns : null, look);
    if (state.problem !== null) {
      board.font(TEXT, 600);
      board.line(state.problem, LEFT, 110, RIGHT - LEFT, look.failing);
      this.told.push(state.problem);
    }
    this.buttons(past, look, state);
    board.end();
  }

  private say(text: string, x: number, y: number, wide: number, colour: string): void {
    this.board.line(text, x, y, wide, colour);
    this.told.push(text);
  }

  private headline(world: World, look: Ink, state: StripState): void {
    const { board } = this;
    const { past, headline, until_ns } = world.about;
    board.font(34, 600);
    const mark = past || this.dragged !== null ? pastWords(this.dragged ?? until_ns) : "Now";
    if (past || this.dragged !== null) {
      board.pen.fillStyle = look.past;
      board.pen.fillRect(3, 14, WIDE - 6, 54);
      this.say(mark, LEFT, 54, RIGHT - LEFT, look.pastInk);
    } else this.say(mark, LEFT, 54, 140, look.quiet);
    if (state.problem === null) {
      board.font(34, 600);
      this.say(headline, past || this.dragged !== null ? LEFT : LEFT + 130, past || this.dragged !== null ? 112 : 54, RIGHT - LEFT - 130, look.text);
    }
    this.line(world, look);
  }

  private line(world: World, look: Ink): void {
    const { about, board } = this;
    if (about?.first_ns == null || about.last_ns == null) return;
    const [first, last] = ends(about);
    const most = Math.max(1e-9, ...this.steps.map((step) => step.rate_per_s ?? 0));
    const across = (at: number) => LEFT + clamp((at - first) / (last - first), 0, 1) * (RIGHT - LEFT);
    const { pen } = board;
    pen.fillStyle = look.grid;
    pen.fillRect(LEFT, BOTTOM, RIGHT - LEFT, 4);
    for (const step of this.steps) {
      const from = across(ms(step.start_ns));
      const wide = step.end_ns === undefined ? (RIGHT - LEFT) / this.steps.length : across(ms(step.end_ns)) - from;
      const high = ((BOTTOM - TOP - 10) * (step.rate_per_s ?? 0)) / most;
      pen.fillStyle = look.arc;
      pen.fillRect(from, BOTTOM - high, Math.max(1, wide - 1), high);
      const failed = high * (step.error_rate ?? 0);
      pen.fillStyle = look.failing;
      pen.fillRect(from, BOTTOM - failed, Math.max(1, wide - 1), failed);
    }
    const { until } = parsed(location.hash).params;
    const moment = this.dragged ?? (world.about.past ? (until !== undefined && /^\d+$/.test(until) ? ms(until) : ms(world.about.until_ns)) : last);
    const x = across(moment);
    pen.fillStyle = world.about.past || this.dragged !== null ? look.past : look.selection;
    pen.fillRect(x - 3, TOP - 8, 6, BOTTOM - TOP + 16);
    pen.beginPath();
    pen.arc(x, TOP - 8, 14, 0, 2 * Math.PI);
    pen.fill();
    const to = (at: number) => Math.round((first + clamp((at - LEFT) / (RIGHT - LEFT), 0, 1) * (last - first)) / MINUTE) * MINUTE;
    board.spots.push({
      name: "time",
      x: LEFT - 20,
      y: TOP - 30,
      wide: RIGHT - LEFT + 40,
      tall: BOTTOM - TOP + 50,
      press: (x) => this.travel(Math.max(first + MINUTE, to(x)), first, last),
      drag: (x) => this.travel(Math.max(first + MINUTE, to(x)), first, last),
    });
  }

  /** Any moment of what is stored; the newest by going as far as it goes. */
  private travel(to: number, first: number, last: number): void {
    if (to === this.dragged) return;
    this.dragged = to;
    clearTimeout(this.due);
    this.due = window.setTimeout(() => {
      const { since = "", until = "" } = parsed(location.hash).params;
      const wide = /^\d+$/.test(since) && /^\d+$/.test(until) ? Math.min(ms(until) - ms(since), 60 * MINUTE) : Math.min(WIDTH, Math.max(MINUTE, (last - first) / 10));
      change({ since: nanoseconds(to - wide), until: nanoseconds(to) }, true);
    }, RESTED_MS);
  }

  private request(ride: Ridden, past: Moment | null, look: Ink): void {
    const { board } = this;
    const { pen } = board;
    board.font(34, 600);
    if (past !== null) {
      pen.fillStyle = look.past;
      pen.fillRect(3, 14, WIDE - 6, 54);
    }
    const request = named(ride.replay);
    this.say(past === null ? request : `${pastWords(past)} · ${request}`, LEFT, 54, RIGHT - LEFT, past === null ? look.text : look.pastInk);
    this.say(standing(ride.replay, ride.at), LEFT, 112, RIGHT - LEFT, look.text);
    pen.fillStyle = look.grid;
    pen.fillRect(LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP);
    const across = (at: number) => LEFT + ride.pace.share(at) * (RIGHT - LEFT);
    // When somebody works, and for how long: the critical path below.
    for (const leg of ride.replay.legs) {
      if (leg.leg !== "work" && leg.leg !== "away") continue;
      pen.fillStyle = leg.failed ? look.failing : leg.critical ? look.selection : look.arc;
      pen.globalAlpha = 0.3;
      pen.fillRect(across(leg.at_ns), leg.critical ? (TOP + BOTTOM) / 2 : TOP + 14, Math.max(2, across(leg.at_ns + leg.for_ns) - across(leg.at_ns)), (BOTTOM - TOP) / 2 - 14);
      pen.globalAlpha = 1;
    }
    const x = across(ride.at);
    pen.fillStyle = look.selection;
    pen.fillRect(x - 3, TOP - 8, 6, BOTTOM - TOP + 16);
    const to = (at: number) => clamp((at - LEFT) / (RIGHT - LEFT), 0, 1);
    const seek = (x: number) => this.asks.seek(to(x));
    board.spots.push({ name: "request", x: LEFT - 20, y: TOP - 30, wide: RIGHT - LEFT + 40, tall: BOTTOM - TOP + 50, press: seek, drag: seek });
  }

  private buttons(past: boolean, look: Ink, state: StripState): void {
    const y = TALL - 106;
    let x = LEFT;
    const button = (name: string, text: string, wide: number, press: () => void, strong = false) => {
      const spot: Spot = { name, x, y, wide, tall: 76, press };
      this.board.button(text, spot, look, strong);
      this.told.push(text);
      x += wide + 16;
    };
    if (state.ride !== null) {
      button("play", state.ride.playing ? "Pause" : "Play", 200, () => this.asks.play(), true);
      button("stop", "Leave it", 220, () => this.asks.stop());
    } else {
      const now = () => {
        clearTimeout(this.due);
        this.dragged = null;
        change({ since: undefined, until: undefined }, true);
      };
      // Lit is what is so, here and on every machine: whoever is in the past is not in the present.
      button("now", "Now", 170, now, !past && this.dragged === null);
      button("everything", "Everything", 250, () => this.asks.everything());
    }
    button("scale", state.scale === "table" ? "Room size" : "On a table", 250, () => this.asks.scale());
    button("turn", `Turn ${state.degrees}°`, 200, () => this.asks.turn());
    button("leave", "Leave VR", 220, () => this.asks.leave());
  }
}

/** Which moment, with its date: nobody with a headset on sees a calendar. */
const pastWords = (moment: Moment | number) => `PAST ${dated(moment)}`;

/** Whole minutes around all that is stored, ms. */
function ends(about: About): [first: number, last: number] {
  const first = Math.floor(ms(about.first_ns ?? "0") / MINUTE) * MINUTE;
  return [first, Math.max(Math.ceil((ms(about.last_ns ?? "0") + 1) / MINUTE) * MINUTE, first + MINUTE)];
}

const nanoseconds = (milliseconds: number) => (BigInt(Math.round(milliseconds)) * 1_000_000n).toString();
