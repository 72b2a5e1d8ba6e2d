import { useId, useRef, useState } from "preact/hooks";
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

/** A column and a row of the map. */
type Place = [number, number];

/** When spans were how slow, the stronger the more; dragging chooses a cloud, and so do arrow keys. */
export function HeatMap({ cells, onSelect, onCompare }: { cells: Cell[]; onSelect: (cloud: Cloud | null) => void; onCompare: (cloud: Cloud) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [drag, setDrag] = useState<[Spot, Spot] | null>(null);
  const [hover, setHover] = useState<Cell | null>(null);
  // Where arrow keys have come to, and from where on they choose.
  const [cursor, setCursor] = useState<{ from: Place; at: Place } | null>(null);
  const help = useId();
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
    return cloudIn(t0, t1, d0, d1);
  };
  const cloudIn = (t0: number, t1: number, d0: number, d1: number): Cloud | null => {
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
  const columns = distinct(shown.map((cell) => [ms(cell.start_ns), ms(cell.end_ns)]));
  const rows = distinct(shown.map((cell) => [cell.low_ns, cell.high_ns]));
  /** What the cells from one place to another span: from when to when, from how long to how long. */
  const spanned = ({ from: one, at }: { from: Place; at: Place }) => {
    const [c0, c1] = sorted(one[0], at[0]);
    const [r0, r1] = sorted(one[1], at[1]);
    const clipped = (place: number, of: unknown[]) => Math.min(place, of.length - 1);
    const [begin, end] = [columns[clipped(c0, columns)]![0], columns[clipped(c1, columns)]![1]];
    return { begin, end, shortest: rows[clipped(r0, rows)]![0], longest: rows[clipped(r1, rows)]![1] };
  };
  const cloudAt = (of: { from: Place; at: Place }) => {
    const { begin, end, shortest, longest } = spanned(of);
    return cloudIn(begin, end, shortest, longest);
  };
  const said = (of: { from: Place; at: Place }) => {
    const { begin, end, shortest, longest } = spanned(of);
    const found = cloudAt(of);
    return `${when(begin)} to ${when(end)}, ${duration(shortest)} to ${duration(longest)}: ${found === null ? "no spans" : `${plural(found.spans, "span")}, ${count(found.errors)} with errors`}`;
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && cursor !== null) {
      setCursor(null);
      onSelect(null);
    } else if (event.key === "Enter" && cursor !== null) {
      const cloud = cloudAt(cursor);
      if (cloud !== null) onCompare(cloud);
    } else if (event.key in MOVES || event.key === "Home" || event.key === "End") {
      const busiest = shown.reduce((a, b) => (b.spans > a.spans ? b : a));
      const [column, row] = cursor?.at ?? [columns.findIndex(([start]) => start === ms(busiest.start_ns)), rows.findIndex(([low]) => low === busiest.low_ns)];
      const [right, up] = cursor === null ? [0, 0] : (MOVES[event.key] ?? [event.key === "Home" ? -columns.length : columns.length, 0]);
      const at: Place = [Math.min(Math.max(column + right, 0), columns.length - 1), Math.min(Math.max(row + up, 0), rows.length - 1)];
      const next = { from: event.shiftKey && cursor !== null ? cursor.from : at, at };
      setDrag(null);
      setCursor(next);
      onSelect(cloudAt(next));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const marked = cursor === null ? null : spanned(cursor);
  const total = sum(cells.map((cell) => cell.spans));
  const failed = sum(cells.map((cell) => cell.errors));
  const words = `${plural(total, "span")}, ${count(failed)} with errors, from ${duration(10 ** low)} to ${duration(10 ** high)}, ${when(from)} to ${when(to)}.`;
  return (
    <figure class="chart heat">
      <figcaption>
        <span>Durations over time</span>
        <span class="quiet small" id={help}>
          {hover === null && cursor !== null
            ? `${said(cursor)}. Shift and arrow keys take more, Enter compares, Escape ends.`
            : hover === null
            ? `${words} Drag over a cloud to compare it, or go there with the arrow keys: Shift with them takes more, Enter compares.`
            : `${when(hover.start_ns)}, ${duration(hover.low_ns)} to ${duration(hover.high_ns)}: ${plural(hover.spans, "span")}, ${count(hover.errors)} with errors`}
        </span>
      </figcaption>
      <span class="unseen" role="status">
        {cursor !== null && said(cursor)}
      </span>
      <div ref={box} class="keyed" role="application" tabIndex={0} aria-label="Map of durations over time" aria-describedby={help} onKeyDown={pressed} onBlur={() => setHover(null)}>
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
              setCursor(null);
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
            {marked !== null && <rect x={x(marked.begin)} y={y(marked.longest)} width={Math.max(2, x(marked.end) - x(marked.begin))} height={Math.max(2, y(marked.shortest) - y(marked.longest))} class="dragged keyed" />}
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

const MOVES: Record<string, Place> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Ranges in order, each once. */
function distinct(ranges: [number, number][]): [number, number][] {
  return [...new Map(ranges.map((range) => [range[0], range])).values()].sort(([a], [b]) => a - b);
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
