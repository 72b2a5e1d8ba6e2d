import type { Connection as Told, Edge } from "../documents";
import { count, duration, errorShare, rate } from "../format";
import { useAsk } from "../hooks";
import { Problem, ServiceLink, Shown, StateMark, TraceLink } from "../parts/basics";
import { windowOf } from "../route";

/** The calls of one to another, beside the world. */
export function Connection({ from, to, params }: { from: string; to: string; params: Record<string, string> }) {
  const found = useAsk<Told>("connection", { from, to, ...windowOf(params) });
  return (
    <>
      <h1>
        {from} → {to}
      </h1>
      <Shown of={found} waiting="Reading the connection">
        {(data) => (data.edges.length === 0 ? <Problem text={`${from} does not call ${to} in this time.`} /> : data.edges.map((edge) => <Figures key={edge.connection} edge={edge} seconds={data.seconds} />))}
      </Shown>
      <p>
        <ServiceLink name={from} /> · <ServiceLink name={to} />
      </p>
    </>
  );
}

function Figures({ edge, seconds }: { edge: Edge; seconds: number }) {
  const lines: [string, string][] = [
    ["By", edge.connection],
    ["Calls", `${count(edge.calls)} · ${rate(edge.calls / Math.max(seconds, 1e-9))}`],
    ["Errors", `${count(edge.errors)} · ${errorShare(edge)}`],
    [`${edge.source} waited`, `p50 ${duration(edge.client_p50_ns)}, p95 ${duration(edge.client_p95_ns)}`],
    [`${edge.target} worked`, `p50 ${duration(edge.server_p50_ns)}, p95 ${duration(edge.server_p95_ns)}`],
  ];
  const why = difference(edge);
  return (
    <section aria-label={`Calls by ${edge.connection}`}>
      <p>
        <StateMark state={edge.state} />
      </p>
      <dl class="figures">
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {why !== null && <p class="quiet">{why}</p>}
      <p>
        <TraceLink id={edge.slowest_trace}>slowest trace</TraceLink> <TraceLink id={edge.failed_trace}>failed trace</TraceLink>
      </p>
    </section>
  );
}

/** Longer than that by so many times, and both sides do not tell of the same. */
const OTHER = 1.1;

/** Why both sides of a call tell other durations; null where they tell about the same, or one tells none. */
function difference({ source, target, connection, client_p95_ns: waited, server_p95_ns: worked }: Edge): string | null {
  if (connection === "messaging" || waited === null || worked === null) return null;
  if (worked > OTHER * waited) return `${target} works longer than ${source} waits: ${source} gives up, or goes on, before the answer is there.`;
  if (waited > OTHER * worked) return `${source} waits longer than ${target} works: the rest is on the way between them, or before ${target} begins.`;
  return null;
}
