/** The page's service view, as a board in the world: the same question, the same words. */

import { Vector3 } from "three";
import { ask, AskError } from "../ask";
import type { Service } from "../documents";
import { dated, digits, duration, errorShare, plural, rate, share, urgent } from "../format";
import { parsed, windowOf } from "../route";
import { HEALTHY, IDLE } from "../world/codes";
import { STATES } from "../world/colours";
import type { World } from "../world/tables";
import { Board, type Ink } from "./board";
import { clamp } from "./rig";

const KINDS = ["service", "database", "queue", "external", "entry"];
const WIDE = 960;
const TALL = 1120;
const PIXEL = 0.00062;
/** So far from the eyes it is opened, m; nearer or farther than these it comes along. */
export const AWAY = 1.05;
const NEAR = 0.5;
const FAR = 1.9;
/** It is opened so far beside where one looks, and comes along from beyond. */
const BESIDE = 0.58;
const BEYOND = 1.15;
const LEFT = 40;
const ROOM = WIDE - 2 * LEFT;
/** Letters of running text: 1.1° high at that distance. */
export const TEXT = 34;
const PITCH = 46;

export interface PanelAsks {
  close(): void;
  goTo(service: string): void;
  replay(trace: string): void;
}

export class Panel {
  readonly board = new Board(WIDE, TALL, PIXEL);
  service: string | null = null;
  /** All that is written on it, for whoever cannot look. */
  told: string[] = [];
  private data: Service | null = null;
  private problem: string | null = null;
  private asking: AbortController | null = null;
  private following = false;
  private readonly goal = new Vector3();
  private readonly gaze = new Vector3();

  constructor(private readonly asks: PanelAsks) {}

  dispose(): void {
    this.asking?.abort();
    this.board.dispose();
  }

  /** Another service, or none; or another world to tell of it. */
  show(service: string | null, world: World, look: Ink, head: Vector3, forward: Vector3): void {
    const other = service !== this.service;
    if (other) this.data = null;
    this.service = service;
    this.board.mesh.visible = service !== null;
    this.asking?.abort();
    this.problem = null;
    if (service === null) return;
    if (other) {
      this.settle(head, forward);
      this.board.hang(this.goal, head);
    }
    this.write(world, look);
    const asking = (this.asking = new AbortController());
    ask<Service>("service", { name: service, ...windowOf(parsed(location.hash).params) }, asking.signal).then(
      (data) => {
        this.data = data;
        this.write(world, look);
      },
      (error: unknown) => {
        if (asking.signal.aborted) return;
        this.problem = error instanceof AskError ? error.message : String(error);
        this.write(world, look);
      },
    );
  }

  /** Comes to where one looks, at once. */
  gather(head: Vector3, forward: Vector3): void {
    this.settle(head, forward);
    this.board.hang(this.goal, head);
  }

  /** Comes along when one has turned or gone away from it. */
  follow(seconds: number, head: Vector3, forward: Vector3): void {
    const { mesh } = this.board;
    if (!mesh.visible) return;
    this.gaze.copy(mesh.position).sub(head);
    const away = this.gaze.length();
    const turned = Math.abs(angle(Math.atan2(this.gaze.x, -this.gaze.z) - Math.atan2(forward.x, -forward.z)));
    if (turned > BEYOND || away < NEAR || away > FAR) this.following = true;
    if (!this.following) return;
    this.settle(head, forward);
    this.gaze.copy(mesh.position).lerp(this.goal, 1 - Math.exp(-5 * seconds));
    this.board.hang(this.gaze, head);
    if (this.gaze.distanceTo(this.goal) < 0.03) this.following = false;
  }

  /** Where it is read well: beside what one looks at, a little below the eyes. */
  private settle(head: Vector3, forward: Vector3): void {
    const turn = Math.atan2(forward.x, -forward.z) + BESIDE;
    this.goal.set(head.x + Math.sin(turn) * AWAY, head.y - 0.08, head.z - Math.cos(turn) * AWAY);
  }

  write(world: World, look: Ink): void {
    const name = this.service;
    if (name === null) return;
    const { board } = this;
    const told: string[] = [];
    let y = 74;
    const line = (text: string, colour = look.text) => {
      board.line(text, LEFT, y, ROOM, colour);
      told.push(text);
      y += PITCH;
    };
    const lines = (text: string, most: number, colour: string) => {
      y = board.lines(text, LEFT, y, ROOM, PITCH, most, colour);
      told.push(text);
    };
    const { past } = world.about;
    board.begin(look.plate, past ? look.past : look.selection);
    if (past) {
      board.pen.fillStyle = look.past;
      board.pen.fillRect(3, 14, WIDE - 6, 50);
      board.font(30, 600);
      board.line(`PAST ${dated(world.about.until_ns)}`, LEFT, 50, ROOM, look.pastInk);
      told.push(`PAST ${dated(world.about.until_ns)}`);
      y = 122;
    }
    board.font(44, 700);
    y = board.lines(name, LEFT, y, ROOM, 52, 2, look.text) + 4;
    told.push(name);
    const body = world.services.indexOf(name);
    const table = world.table("bodies");
    const node = this.data?.node ?? null;
    const { cause, suspect } = world.about;
    const blamed = cause !== null && cause.body === body;
    board.font(TEXT, 600);
    // Of a cause what is wrong comes first: its state is that of the whole time.
    if (blamed) lines(`Likely cause: ${urgent(cause.reason, past)}`, 3, look.cause);
    if (body < 0 && node === null) line(this.data === null ? "…" : `Nothing called ${name} in this time.`, look.quiet);
    else {
      const state = node?.state ?? STATES[table.numbers("state")[body] ?? 0] ?? "idle";
      const kind = node?.kind ?? KINDS[table.numbers("shape")[body] ?? 0] ?? "service";
      const code = STATES.indexOf(state);
      this.mark(code, LEFT + 16, y - 12, look);
      const over = blamed && (code === HEALTHY || code === IDLE) ? ` over all of ${duration(world.about.seconds * 1e9)}` : "";
      board.line(`${state}${over} · ${kind}`, LEFT + 48, y, ROOM - 48, look.text);
      told.push(`${state}${over} · ${kind}`);
      y += PITCH + 6;
    }
    board.font(TEXT);
    if (!blamed && suspect !== null && suspect.body === body) lines(`Suspect, not proved: ${suspect.reason}`, 3, look.cause);
    else if (!blamed && cause !== null) lines(`Likely cause: ${cause.name}`, 2, look.quiet);
    if (this.data !== null && this.data.reason !== "") lines(this.data.reason, 3, look.text);
    if (this.problem !== null) lines(this.problem, 3, look.failing);
    y += 10;
    if (node !== null || body >= 0) for (const row of this.figures(world, body)) y = this.figure(row, y, look, told);
    this.traces(y + 8, look, told);
    board.button("Go there", { name: "go", x: LEFT, y: TALL - 100, wide: 300, tall: 68, press: () => this.asks.goTo(name) }, look);
    board.button("Close", { name: "close", x: WIDE - LEFT - 220, y: TALL - 100, wide: 220, tall: 68, press: () => this.asks.close() }, look);
    board.end();
    this.told = told;
  }

  /** As on the page: value, and what it was before. */
  private figures(world: World, body: number): [name: string, value: string, before: string | null][] {
    const [data, node] = [this.data, this.data?.node ?? null];
    if (data === null || node === null) {
      const table = world.table("bodies");
      const of = (column: string, at = body) => table.numbers(column)[at] ?? 0;
      const [calls, errors] = [of("calls"), of("errors")];
      const p95 = of("quantiles", 3 * body + 1);
      return [
        ["Rate", `${digits(calls / Math.max(world.about.seconds, 1e-9))}/s`, null],
        ["Errors", calls > 0 ? share(errors / calls) : "–", null],
        ["p95", duration(p95 < 0 ? null : p95), null],
      ];
    }
    const { before } = data;
    return [
      ["Rate", rate(node.calls / Math.max(data.seconds, 1e-9)), before && rate(before.rate_per_s)],
      ["Errors", errorShare(node), before && share(before.error_rate)],
      ["p50", duration(node.p50_ns), null],
      ["p95", duration(node.p95_ns), before && duration(before.p95_ns)],
      ["p99", duration(node.p99_ns), null],
    ];
  }

  private figure([name, value, before]: [string, string, string | null], y: number, look: Ink, told: string[]): number {
    const { board } = this;
    board.font(TEXT);
    board.line(name, LEFT, y, 150, look.quiet);
    board.font(TEXT, 600);
    board.line(value, LEFT + 170, y, 270, look.text);
    board.font(TEXT);
    const was = before === null || before === "–" ? "" : `before ${before}`;
    if (was !== "") board.line(was, LEFT + 460, y, ROOM - 460, look.quiet);
    told.push(`${name} ${value} ${was}`.trim());
    return y + PITCH;
  }

  private traces(y: number, look: Ink, told: string[]): void {
    const { board } = this;
    // From below, so that a line more above moves nothing away from under a ray.
    const traces = (this.data?.traces ?? []).slice(0, Math.floor(clamp((TALL - 130 - y - PITCH) / 76, 0, 3)));
    if (traces.length === 0) return;
    y = TALL - 122 - 76 * traces.length;
    board.font(TEXT);
    board.line(`${plural(traces.length, "trace")} worth replaying`, LEFT, y - 18, ROOM, look.quiet);
    traces.forEach((each, number) => {
      const text = `▶ ${each.why}: ${each.name} ${each.duration_ns === null ? "" : duration(each.duration_ns)}`;
      board.button(text, { name: `trace ${number}`, x: LEFT, y, wide: ROOM, tall: 64, press: () => this.asks.replay(each.trace_id) }, look);
      told.push(text);
      y += 76;
    });
  }

  /** Never colour alone. */
  private mark(state: number, x: number, y: number, look: Ink): void {
    const { pen } = this.board;
    pen.fillStyle = pen.strokeStyle = look.states[state] ?? look.quiet;
    pen.lineWidth = 4;
    pen.beginPath();
    pen.arc(x, y, state === 0 || state === 3 ? 13 : 8, 0, 2 * Math.PI);
    if (state === 4) pen.setLineDash([5, 4]);
    else pen.fill();
    pen.stroke();
    pen.setLineDash([]);
    for (const ring of state === 1 ? [15] : state === 2 ? [14, 20] : []) {
      pen.beginPath();
      pen.arc(x, y, ring, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}

/** Between -π and π. */
export const angle = (of: number) => Math.atan2(Math.sin(of), Math.cos(of));
