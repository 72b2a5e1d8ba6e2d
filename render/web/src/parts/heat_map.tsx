import { useRef, useState } from "preact/hooks";
import type { Cell } from "../documents";
import { count, duration, ms, plural, tick, when } from "../format";
import { useWidth } from "../hooks";
import { axis } from "./line_chart";

/** A rectangle of the map: a cloud. */
export interface Cloud {
  from_ns: string;
  to_ns: string;
  low_ns: number;
  high_ns: number;
  spans: number;
  errors: number;
}

const HEIGHT = 220;
const LEFT = 64;
const BOTTOM = 20;
const LEVELS = 7;
const MOST_COLUMNS = 160;

/** When spans were how slow, the stronger the more; dragging chooses a cloud. */
export function HeatMap({ cells, onSelect }: { cells: Cell[]; onSelect: (cloud: Cloud | null) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [drag, setDrag] = useState<[Spot, Spot] | null>(null);
  const [hover, setHover] = useState<Cell | null>(null);
  const first = cells[0];
  if (first === undefined) return <p class="quiet">No spans.</p>;
  const { shown, from, to, low, high, most } = folded(cells, first);
  const room = Math.max(width - LEFT - 4, 1);
  const tall = HEIGHT - BOTTOM - 4;
  const x = (at: number) => LEFT + ((at - from) / (to - from)) * room;
  const y = (ns: number) => 4 + (1 - (log(ns) - low) / (high - low)) * tall;
  const spot = (event: PointerEvent): Spot => {
    const rect = (event.currentTarget as Element).getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  const timeAt = (px: number) => from + ((px - LEFT) / room) * (to - from);
  const durationAt = (py: number) => 10 ** (low + (1 - (py - 4) / tall) * (high - low));
  const chosen = (one: Spot, other: Spot): Cloud | null => {
    const [t0, t1] = sorted(timeAt(one.x), timeAt(other.x));
    const [d1, d0] = sorted(durationAt(one.y), durationAt(other.y)).reverse() as [number, number];
    // Whole cells: what is seen is what is chosen.
    const inside = cells.filter((cell) => ms(cell.end_ns) > t0 && ms(cell.start_ns) < t1 && cell.high_ns > d0 && cell.low_ns < d1);
    if (inside.length === 0) return null;
    return {
      from_ns: least(inside.map((cell) => cell.start_ns)),
      to_ns: largest(inside.map((cell) => cell.end_ns)),
      low_ns: Math.min(...inside.map((cell) => cell.low_ns)),
      high_ns: Math.max(...inside.map((cell) => cell.high_ns)),
      spans: sum(inside.map((cell) => cell.spans)),
      errors: sum(inside.map((cell) => cell.errors)),
    };
  };
  const total = sum(cells.map((cell) => cell.spans));
  const failed = sum(cells.map((cell) => cell.errors));
  const words = `${plural(total, "span")}, ${count(failed)} with errors, from ${duration(10 ** low)} to ${duration(10 ** high)}, ${when(from)} to ${when(to)}.`;
  return (
    <figure class="chart heat">
      <figcaption>
        <span>Durations over time</span>
        <span class="quiet small">
          {hover === null
            ? `${words} Drag over a cloud to compare it.`
            : `${when(hover.start_ns)}, ${duration(hover.low_ns)} to ${duration(hover.high_ns)}: ${plural(hover.spans, "span")}, ${count(hover.errors)} with errors`}
        </span>
      </figcaption>
      <div ref={box}>
        {width > 0 && (
          <svg
            role="img"
            aria-label={`Durations over time. ${words}`}
            width={width}
            height={HEIGHT}
            class="draggable"
            onPointerDown={(event) => {
              if (event.button !== 0) return;
              event.currentTarget.setPointerCapture(event.pointerId);
              setDrag([spot(event), spot(event)]);
              onSelect(null);
            }}
            onPointerMove={(event) => {
              const here = spot(event);
              if (drag !== null) setDrag([drag[0], here]);
              const t = timeAt(here.x);
              const d = durationAt(here.y);
              setHover(shown.find((cell) => ms(cell.start_ns) <= t && t < ms(cell.end_ns) && cell.low_ns <= d && d < cell.high_ns) ?? null);
            }}
            onPointerUp={() => {
              if (drag === null) return;
              const cloud = chosen(...drag);
              if (cloud === null) setDrag(null);
              onSelect(cloud);
            }}
            onPointerLeave={() => setHover(null)}
          >
            {decades(low, high).map((ns) => (
              <g key={ns}>
                <line x1={LEFT} x2={LEFT + room} y1={y(ns)} y2={y(ns)} class="grid" />
                <text x={LEFT - 6} y={y(ns) + 4} text-anchor="end" class="tick">
                  {duration(ns)}
                </text>
              </g>
            ))}
            {axis(from, to, Math.max(2, Math.floor(room / 110))).map((each) => (
              <text key={each} x={x(each)} y={HEIGHT - 4} text-anchor="middle" class="tick">
                {tick(each, to - from)}
              </text>
            ))}
            {shown.map((cell) => {
              const left = x(ms(cell.start_ns));
              const above = y(cell.high_ns);
              const wide = Math.max(x(ms(cell.end_ns)) - left - 0.6, 1);
              const high = Math.max(y(cell.low_ns) - above - 0.6, 1);
              return (
                <g key={`${cell.start_ns} ${cell.low_ns}`}>
                  <rect x={left} y={above} width={wide} height={high} class={`d${level(cell.spans, most)}`} />
                  {cell.errors > 0 && <circle cx={left + wide / 2} cy={above + high / 2} r={Math.max(1.5, Math.min(3, high / 2.4, wide / 2))} class="error-mark" />}
                </g>
              );
            })}
            {drag !== null && (
              <rect
                x={Math.min(drag[0].x, drag[1].x)}
                y={Math.min(drag[0].y, drag[1].y)}
                width={Math.abs(drag[0].x - drag[1].x)}
                height={Math.abs(drag[0].y - drag[1].y)}
                class="dragged"
              />
            )}
          </svg>
        )}
      </div>
    </figure>
  );
}

interface Spot {
  x: number;
  y: number;
}

/** The cells, those of several neighbouring buckets of time in one where there are very many. */
function folded(cells: Cell[], one: Cell) {
  const from = Math.min(...cells.map((cell) => ms(cell.start_ns)));
  const to = Math.max(...cells.map((cell) => ms(cell.end_ns)));
  const step = ms(one.end_ns) - ms(one.start_ns);
  const factor = Math.ceil((to - from) / step / MOST_COLUMNS);
  const low = log(Math.min(...cells.map((cell) => cell.low_ns)));
  const high = log(Math.max(...cells.map((cell) => cell.high_ns)));
  let shown = cells;
  if (factor > 1) {
    const first = BigInt(least(cells.map((cell) => cell.start_ns)));
    const wide = (BigInt(one.end_ns) - BigInt(one.start_ns)) * BigInt(factor);
    const merged = new Map<string, Cell>();
    for (const cell of cells) {
      const start = ((BigInt(cell.start_ns) - first) / wide) * wide + first;
      const name = `${start} ${cell.low_ns}`;
      const own = merged.get(name);
      if (own === undefined) merged.set(name, { ...cell, start_ns: `${start}`, end_ns: `${start + wide}` });
      else merged.set(name, { ...own, spans: own.spans + cell.spans, errors: own.errors + cell.errors });
    }
    shown = [...merged.values()];
  }
  return { shown, from, to, low, high, most: Math.max(...shown.map((cell) => cell.spans)) };
}

/** Even steps of the logarithm. */
function level(spans: number, most: number): number {
  return most <= 1 ? Math.floor(LEVELS / 2) : Math.min(LEVELS - 1, Math.floor((Math.log(spans) / Math.log(most)) * LEVELS));
}

function decades(low: number, high: number): number[] {
  const found: number[] = [];
  for (let each = Math.ceil(low - 1e-9); each <= high + 1e-9; each++) found.push(10 ** each);
  return found;
}

const log = (ns: number) => Math.log10(Math.max(ns, 1));
const sum = (values: number[]) => values.reduce((all, each) => all + each, 0);
const sorted = (a: number, b: number): [number, number] => (a < b ? [a, b] : [b, a]);
const least = (moments: string[]) => moments.reduce((a, b) => (BigInt(b) < BigInt(a) ? b : a));
const largest = (moments: string[]) => moments.reduce((a, b) => (BigInt(b) > BigInt(a) ? b : a));
