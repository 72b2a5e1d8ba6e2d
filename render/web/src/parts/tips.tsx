/** What is told of a body or a connection of the world when somebody points at it. */

import { count, digits, duration, share } from "../format";
import type { World } from "../world/tables";

const STATES = ["healthy", "degraded", "failing", "idle", "absent"];
const KINDS = ["service", "database", "queue", "external", "entry", "island"];

export interface Hovered {
  body: number | null;
  arc: number | null;
  x: number;
  y: number;
}

/** Beside the pointer; nothing where nothing is there any more. */
export function Tip({ world, hovered }: { world: World; hovered: Hovered }) {
  const { body, arc, x, y } = hovered;
  const lines = body !== null ? ofBody(world, body) : arc !== null ? ofArc(world, arc) : null;
  const [title, ...rest] = lines ?? [];
  if (title === undefined) return null;
  return (
    <div class={`tooltip${x > 260 ? " left" : ""}`} role="tooltip" style={{ transform: `translate(${Math.round(x)}px, ${Math.round(y)}px)` }}>
      <div>
        <b>{title}</b>
        {rest.map((line) => (
          <span key={line}>{line}</span>
        ))}
      </div>
    </div>
  );
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
  return [name, `${KINDS[of("shape")]} · ${STATES[of("state")]}`, ...figures, told(["p50", "p95", "p99"], quantiles)];
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
