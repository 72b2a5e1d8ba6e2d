import { useRef, useState } from "preact/hooks";
import type { Mark } from "../documents";
import { ms, tick, when } from "../format";
import { useWidth } from "../hooks";

export interface Point {
  at: number;
  value: number | null;
}

interface Props {
  title: string;
  points: Point[];
  /** From when to when, in ms. */
  from: number;
  to: number;
  format: (value: number) => string;
  tone?: "plain" | "bad";
  /** The axis reaches so far at least. */
  least?: number;
  marks?: Mark[];
  /** A stretch of time was dragged over. */
  onSelect?: (from: number, to: number) => void;
}

const HEIGHT = 132;
const LEFT = 58;
const BOTTOM = 20;
const TOP = 8;

/** One line over time; dragging chooses a stretch of it. */
export function LineChart({ title, points, from, to, format, tone = "plain", least = 0, marks = [], onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [hover, setHover] = useState<number | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const top = nice(Math.max(least, ...points.map((point) => point.value ?? 0)));
  const room = Math.max(width - LEFT - 8, 1);
  const range = Math.max(to - from, 1);
  const x = (at: number) => LEFT + ((at - from) / range) * room;
  const y = (value: number) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const at = (event: PointerEvent) => {
    const rect = (event.currentTarget as Element).getBoundingClientRect();
    return Math.min(Math.max(from + ((event.clientX - rect.left - LEFT) / room) * range, from), to);
  };
  const values = points.filter((point) => point.value !== null);
  const last = values.at(-1);
  const shown = hover === null ? last : nearest(values, hover);
  const highest = values.reduce<Point | undefined>((most, point) => (most === undefined || (point.value ?? 0) > (most.value ?? 0) ? point : most), undefined);
  const ticks = axis(from, to, Math.max(2, Math.floor(room / 110)));
  const words =
    highest === undefined || last === undefined
      ? `${title}: nothing.`
      : `${title}: ${format(last.value ?? 0)} at the end, at most ${format(highest.value ?? 0)} at ${when(highest.at)}.`;
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <output class="number">{shown === undefined ? "–" : format(shown.value ?? 0)}</output>
        <span class="quiet small">{shown === undefined ? "" : when(shown.at)}</span>
      </figcaption>
      <div ref={box}>
        {width > 0 && (
          <svg
            role="img"
            aria-label={words}
            width={width}
            height={HEIGHT}
            class={onSelect ? "draggable" : ""}
            onPointerDown={(event) => {
              if (!onSelect || event.button !== 0 || event.pointerType === "touch") return;
              event.currentTarget.setPointerCapture(event.pointerId);
              setDrag([at(event), at(event)]);
            }}
            onPointerMove={(event) => {
              setHover(at(event));
              if (drag !== null) setDrag([drag[0], at(event)]);
            }}
            onPointerUp={() => {
              if (drag !== null && Math.abs(drag[1] - drag[0]) > range / 100) onSelect?.(Math.min(...drag), Math.max(...drag));
              setDrag(null);
            }}
            onPointerLeave={() => setHover(null)}
          >
            {[0, 0.5, 1].map((part) => (
              <g key={part}>
                <line x1={LEFT} x2={LEFT + room} y1={y(top * part)} y2={y(top * part)} class="grid" />
                <text x={LEFT - 6} y={y(top * part) + 4} text-anchor="end" class="tick">
                  {format(top * part)}
                </text>
              </g>
            ))}
            {ticks.map((each) => (
              <text key={each} x={x(each)} y={HEIGHT - 4} text-anchor="middle" class="tick">
                {tick(each, range)}
              </text>
            ))}
            {marks.map((mark, number) => (
              <MarkLine key={number} mark={mark} x={x} from={from} to={to} />
            ))}
            <path d={area(points, x, y)} class={`area ${tone}`} />
            <path d={line(points, x, y)} class={`line ${tone}`} />
            {shown !== undefined && <circle cx={x(shown.at)} cy={y(shown.value ?? 0)} r="3.2" class={`dot ${tone}`} />}
            {drag !== null && (
              <rect x={x(Math.min(...drag))} y={TOP} width={Math.abs(x(drag[1]) - x(drag[0]))} height={HEIGHT - TOP - BOTTOM} class="dragged" />
            )}
          </svg>
        )}
      </div>
    </figure>
  );
}

function MarkLine({ mark, x, from, to }: { mark: Mark; x: (at: number) => number; from: number; to: number }) {
  const begin = mark.start_ns === null ? from : ms(mark.start_ns);
  if (begin > to) return null;
  const end = mark.end_ns === null ? begin : Math.min(ms(mark.end_ns), to);
  return (
    <g class={`mark ${mark.kind}`}>
      <rect x={x(Math.max(begin, from))} y={TOP} width={Math.max(x(end) - x(Math.max(begin, from)), 1.5)} height={HEIGHT - TOP - BOTTOM} />
      <title>{`${mark.kind}: ${mark.service ?? ""} ${mark.text}`}</title>
    </g>
  );
}

/** The pieces between gaps. */
function pieces(points: Point[]): Point[][] {
  const found: Point[][] = [[]];
  for (const point of points) {
    if (point.value === null) found.push([]);
    else found.at(-1)?.push(point);
  }
  return found.filter((piece) => piece.length > 0);
}

type Scale = (value: number) => number;

function line(points: Point[], x: Scale, y: Scale): string {
  return pieces(points)
    .map((piece) => piece.map((point, number) => `${number ? "L" : "M"}${x(point.at).toFixed(1)},${y(point.value ?? 0).toFixed(1)}`).join(""))
    .join("");
}

function area(points: Point[], x: Scale, y: Scale): string {
  return pieces(points)
    .map((piece) => {
      const first = piece[0];
      const last = piece.at(-1);
      if (first === undefined || last === undefined) return "";
      return `M${x(first.at).toFixed(1)},${y(0)}${line(piece, x, y).replace("M", "L")}L${x(last.at).toFixed(1)},${y(0)}Z`;
    })
    .join("");
}

function nearest(points: Point[], at: number): Point | undefined {
  return points.reduce<Point | undefined>((best, point) => (best === undefined || Math.abs(point.at - at) < Math.abs(best.at - at) ? point : best), undefined);
}

/** The next round number. */
export function nice(most: number): number {
  if (!(most > 0)) return 1;
  const size = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 2.5, 5, 10].find((step) => step * size >= most) ?? 10) * size;
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map((seconds) => seconds * 1000);

/** Round local times between both, at most so many. */
export function axis(from: number, to: number, most: number): number[] {
  const step = STEPS.find((each) => (to - from) / each <= most) ?? STEPS.at(-1) ?? 1;
  const zone = new Date(from).getTimezoneOffset() * 60e3;
  const found: number[] = [];
  for (let at = Math.ceil((from - zone) / step) * step + zone; at <= to; at += step) found.push(at);
  return found;
}
