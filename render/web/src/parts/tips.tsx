/** What is told of a body or a connection of the world when somebody points at it. */

import { count, digits, duration, share, urgent } from "../format";
import { STATES } from "../world/codes";
import type { Box } from "../world/stage";
import type { World } from "../world/tables";

const KINDS = ["service", "database", "queue", "external", "entry", "island"];

export interface Hovered {
  body: number | null;
  arc: number | null;
  x: number;
  y: number;
}

/** Beside what it is about, which stays in sight; nothing where nothing is there any more. */
export function Tip({ world, hovered, stage }: { world: World; hovered: Hovered; stage: Surroundings | null }) {
  const { body, arc } = hovered;
  const lines = body !== null ? ofBody(world, body) : arc !== null ? ofArc(world, arc) : null;
  const [title, ...rest] = lines ?? [];
  if (title === undefined) return null;
  const table = world.table("arcs");
  const about = body !== null ? [body] : arc !== null ? ["source", "target"].map((end) => table.numbers(end)[arc] ?? 0) : [];
  const [x, y] = beside(stage?.extent(about) ?? null, hovered, stage?.sight ?? { width: 0, height: 0 }, measured([title, ...rest]), stage?.flag() ?? null);
  return (
    <div class="tooltip" role="tooltip" style={{ transform: `translate(${Math.round(x)}px, ${Math.round(y)}px)` }}>
      <div>
        <b>{title}</b>
        {rest.map((line) => (
          <span key={line}>{line}</span>
        ))}
      </div>
    </div>
  );
}

/** What a tip has to know of the picture that it lies on. */
export interface Surroundings {
  extent(bodies: readonly number[]): Box | null;
  flag(): Box | null;
  readonly sight: Size;
}

interface Size {
  width: number;
  height: number;
}

const GAP = 12;

/** Where a tip of that size has its corner: on the side of the box that is nearest to the pointer and has room. */
export function beside(box: Box | null, at: { x: number; y: number }, sight: Size, tip: Size, flag: Box | null): [x: number, y: number] {
  const across = (x: number) => Math.max(0, Math.min(x, sight.width - tip.width));
  const along = (y: number) => Math.max(0, Math.min(y, sight.height - tip.height));
  if (box === null) return [across(at.x + GAP), along(at.y + GAP)];
  const places: [x: number, y: number][] = [
    [box.right + GAP, along(at.y - tip.height / 2)],
    [box.left - GAP - tip.width, along(at.y - tip.height / 2)],
    [across(at.x - tip.width / 2), box.bottom + GAP],
    [across(at.x - tip.width / 2), box.top - GAP - tip.height],
  ];
  const away = ([x, y]: [number, number]) => Math.hypot(x + tip.width / 2 - at.x, y + tip.height / 2 - at.y);
  const hides = ([x, y]: [number, number]) => flag !== null && x < flag.right && flag.left < x + tip.width && y < flag.bottom && flag.top < y + tip.height;
  const room = places.filter(([x, y]) => x >= 0 && y >= 0 && x + tip.width <= sight.width && y + tip.height <= sight.height && !hides([x, y]));
  return room.sort((one, other) => away(one) - away(other))[0] ?? [across(at.x > sight.width / 2 ? 0 : sight.width), along(0)];
}

/** About as large as it is written. */
function measured(lines: readonly string[]): Size {
  return { width: Math.min(26 + 7.4 * Math.max(...lines.map((line) => line.length)), 352), height: 16 + 20 * lines.length };
}

function ofBody(world: World, body: number): string[] | null {
  const table = world.table("bodies");
  const name = table.words("service")[body];
  if (name === undefined) return null;
  const of = (column: string) => table.numbers(column)[body] ?? 0;
  const [calls, errors] = [of("calls"), of("errors")];
  const group = world.groupOf(body) !== null;
  const figures = traffic(calls, errors, world.about.seconds);
  if (group) return [table.words("label")[body] ?? "", table.words("inside")[body] ?? "", ...figures, "come nearer or click to open"];
  const quantiles = table.numbers("quantiles").slice(3 * body, 3 * body + 3);
  const { cause, past } = world.about;
  const wrong = cause !== null && cause.body === body && cause.arc === null ? [`likely cause · ${urgent(cause.reason, past)}`] : [];
  return [name, ...wrong, `${KINDS[of("shape")]} · ${STATES[of("state")]}`, ...figures, told(["p50", "p95", "p99"], quantiles)];
}

function ofArc(world: World, arc: number): string[] | null {
  const table = world.table("arcs");
  if (arc >= table.rows) return null;
  const of = (column: string) => table.numbers(column)[arc] ?? 0;
  const [from, to] = ["source", "target"].map((end) => nameOf(world, of(end)));
  const calls = of("calls");
  const kind = world.about.connections[of("kind") - 1];
  const quantiles = table.numbers("quantiles").slice(2 * arc, 2 * arc + 2);
  const several = world.groupOf(of("source")) !== null || world.groupOf(of("target")) !== null;
  const times = several ? [] : [told(["p50", "p95"], quantiles)];
  return [`${from} → ${to}`, [kind, STATES[of("state")]].filter(Boolean).join(" · "), ...traffic(calls, of("errors"), world.about.seconds), ...times];
}

/** A service by its name, a group by what is written on it. */
function nameOf(world: World, body: number): string {
  return (world.groupOf(body) === null ? world.services[body] : world.table("bodies").words("label")[body]) ?? "";
}

const traffic = (calls: number, errors: number, seconds: number) => [`${count(Math.round(calls))} calls · ${digits(calls / Math.max(seconds, 1e-9))}/s`, `${count(Math.round(errors))} errors · ${calls > 0 ? share(errors / calls) : "–"}`];

const told = (names: string[], ns: ArrayLike<number>) => names.map((name, number) => `${name} ${duration((ns[number] ?? -1) < 0 ? null : ns[number])}`).join("   ");
