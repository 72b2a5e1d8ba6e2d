import { useLayoutEffect, useRef } from "preact/hooks";
import type { Arrow, FlatMap as Places, Node } from "../documents";
import { errorShare, count, plural } from "../format";
import { link } from "../route";

const COLUMN = 176;
const ROW = 80;
const LARGEST = 18;
const SMALLEST = 7;

/** Who calls whom, from left to right; the places are the collector's. */
export function FlatMap({ map, nodes, blamed }: { map: Places; nodes: Node[]; blamed: Set<string> }) {
  const of = new Map(nodes.map((node) => [node.service, node]));
  const most = Math.sqrt(Math.max(1, ...nodes.map((node) => node.calls)));
  const traffic = Math.sqrt(Math.max(1, ...map.arrows.map((arrow) => arrow.calls)));
  const place = (column: number, row: number) => ({ x: COLUMN * (column + 0.5), y: ROW * row + 4 });
  const spots = new Map(map.spots.map((spot) => [spot.service, place(spot.column, spot.row)]));
  const radius = (service: string) => SMALLEST + ((LARGEST - SMALLEST) * Math.sqrt(of.get(service)?.calls ?? 0)) / most;
  const width = map.columns * COLUMN;
  const drawing = useRef<SVGSVGElement>(null);
  const worst = nodes.find((node) => blamed.has(node.service)) ?? nodes.find((node) => node.state === "failing") ?? nodes.find((node) => node.state === "degraded");
  // A narrow screen begins where something is wrong.
  useLayoutEffect(() => {
    const frame = drawing.current?.parentElement;
    const at = spots.get(worst?.service ?? "");
    if (frame && at !== undefined) frame.scrollLeft = at.x - frame.clientWidth / 2;
  }, [worst?.service]);
  const height = (map.room + 0.5) * ROW;
  return (
    <svg ref={drawing} width={width} height={height} viewBox={`0 0 ${width} ${height}`} class="map" role="group" aria-label="Who calls whom, from left to right">
      {map.arrows.map((arrow) => (
        <ArrowLine key={`${arrow.source} ${arrow.target}`} arrow={arrow} way={way(arrow, spots, radius, place)} width={1.2 + (4.8 * Math.sqrt(arrow.calls)) / traffic} />
      ))}
      {map.spots.map(({ service }) => {
        const node = of.get(service);
        const at = spots.get(service);
        if (node === undefined || at === undefined) return null;
        const r = radius(service);
        return (
          <a key={service} href={link("service", service)} class={`node ${node.state}`}>
            <rect x={at.x - COLUMN / 2 + 6} y={at.y - LARGEST - 8} width={COLUMN - 12} height={ROW - 6} class="touch">
              <title>{`${service} (${node.kind}, ${node.state}): ${plural(node.calls, "call")}, ${errorShare(node)} errors`}</title>
            </rect>
            <Shape kind={node.kind} x={at.x} y={at.y} r={r} state={node.state} />
            {(node.state === "degraded" || node.state === "failing") && <circle cx={at.x} cy={at.y} r={r + 4} class="ring" />}
            {node.state === "failing" && <circle cx={at.x} cy={at.y} r={r + 8} class="ring" />}
            {blamed.has(service) && (
              <>
                <circle cx={at.x} cy={at.y} r={r + 13} class="beacon" />
                <text x={at.x} y={at.y - r - 17} text-anchor="middle" class="beacon-name">
                  likely cause
                </text>
              </>
            )}
            <text x={at.x} y={at.y + LARGEST + 16} text-anchor="middle" class="name">
              {fitted(service)}
            </text>
            <text x={at.x} y={at.y + LARGEST + 30} text-anchor="middle" class="tick">
              {`${node.kind === "service" ? "" : `${node.kind} · `}${count(node.calls)} calls`}
            </text>
          </a>
        );
      })}
    </svg>
  );
}

/** As in the world: a ball, a drum, a bar, an octahedron, a cone. */
function Shape({ kind, x, y, r, state }: { kind: string; x: number; y: number; r: number; state: string }) {
  const dress = state === "absent" ? "void" : "body";
  if (kind === "database") return <rect x={x - r * 0.85} y={y - r} width={r * 1.7} height={r * 2} rx={r * 0.55} class={dress} />;
  if (kind === "queue") return <rect x={x - r * 1.35} y={y - r * 0.6} width={r * 2.7} height={r * 1.2} rx="2" class={dress} />;
  if (kind === "external") return <path d={`M${x},${y - r * 1.2}L${x + r * 1.2},${y}L${x},${y + r * 1.2}L${x - r * 1.2},${y}Z`} class={dress} />;
  if (kind === "entry") return <path d={`M${x},${y - r * 1.2}L${x + r * 1.1},${y + r * 0.9}H${x - r * 1.1}Z`} class={dress} />;
  return <circle cx={x} cy={y} r={r} class={dress} />;
}

type Point = { x: number; y: number };

function way(arrow: Arrow, spots: Map<string, Point>, radius: (service: string) => number, place: (column: number, row: number) => Point): Point[] {
  const from = spots.get(arrow.source);
  const to = spots.get(arrow.target);
  if (from === undefined || to === undefined) return [];
  const turn = arrow.back && to.x < from.x ? -1 : 1;
  return [
    { x: from.x + turn * (radius(arrow.source) + 4), y: from.y },
    ...(arrow.back ? [] : arrow.passes.map(([column, row]) => place(column, row))),
    { x: to.x - turn * (radius(arrow.target) + 10), y: to.y },
  ];
}

function ArrowLine({ arrow, way, width }: { arrow: Arrow; way: Point[]; width: number }) {
  const end = way.at(-1);
  const before = way.at(-2);
  if (end === undefined || before === undefined) return null;
  const turn = end.x < before.x ? -1 : 1;
  const d = way
    .map((point, number) => {
      const last = way[number - 1];
      if (last === undefined) return `M${point.x},${point.y}`;
      const middle = (last.x + point.x) / 2;
      return `C${middle},${last.y} ${middle},${point.y} ${point.x},${point.y}`;
    })
    .join("");
  return (
    <g class={`arrow ${arrow.state}${arrow.back ? " back" : ""}`}>
      <path d={d} stroke-width={width} />
      <path d={`M${end.x + turn * 7},${end.y}L${end.x - turn * 2},${end.y - 4 - width / 3}V${end.y + 4 + width / 3}Z`} class="tip" />
      <title>{`${arrow.source} → ${arrow.target} (${arrow.state}): ${plural(arrow.calls, "call")}, ${errorShare(arrow)} errors`}</title>
    </g>
  );
}

function fitted(name: string): string {
  return name.length <= 24 ? name : `${name.slice(0, 13)}…${name.slice(-9)}`;
}
