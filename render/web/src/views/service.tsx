import type { Edge, Flame as Frames, Service as Told } from "../documents";
import { count, digits, duration, errorShare, plural, rate, share } from "../format";
import { useAsk } from "../hooks";
import { ServiceLink, Shown, StateMark, TraceLink, Wide } from "../parts/basics";
import { Flame } from "../parts/flame";
import { link, windowOf } from "../route";
import { RedLines, SICK } from "./overview";

/** One service, database, queue or external system. */
export function Service({ name, params }: { name: string; params: Record<string, string> }) {
  const time = windowOf(params);
  const found = useAsk<Told>("service", { name, ...time });
  return (
    <>
      <h1>
        {name} {found.data?.node != null && <StateMark state={found.data.node.state} />}
      </h1>
      <Shown of={found} waiting="Measuring">
        {(data) => (data.node === null ? <p class="problem">Nothing called {name} in this time.</p> : <Figures name={name} of={data} />)}
      </Shown>
      {found.data?.node?.kind === "service" && <Begun name={name} time={time} />}
    </>
  );
}

function Figures({ name, of }: { name: string; of: Told }) {
  const node = of.node;
  if (node === null) return null;
  const sends = of.operations.length > 0;
  return (
    <>
      {of.reason !== "" && <p class="reason">{of.reason}</p>}
      <dl class="figures">
        <Figure name="Rate" value={rate(node.calls / Math.max(of.seconds, 1e-9))} before={of.before && rate(of.before.rate_per_s)} />
        <Figure name="Errors" value={errorShare(node)} before={of.before && share(of.before.error_rate)} />
        <Figure name="p50" value={duration(node.p50_ns)} />
        <Figure name="p95" value={duration(node.p95_ns)} before={of.before && duration(of.before.p95_ns)} />
        <Figure name="p99" value={duration(node.p99_ns)} />
        {of.versions.length > 0 && <Figure name="Versions" value={of.versions.slice(0, 3).join(", ")} />}
      </dl>
      {sends && (
        <p class="actions">
          <a class="button" href={link("search", "", { service: name, order: "slowest" })}>
            Slowest traces
          </a>
          {node.errors > 0 && (
            <>
              <a class="button" href={link("search", "", { service: name, status: "error" })}>
                Failed traces
              </a>
              <a class="button" href={link("compare", "", { service: name, status: "error" })}>
                What is different about the failed?
              </a>
            </>
          )}
        </p>
      )}
      <RedLines steps={of.steps} />
      {of.traces.length > 0 && (
        <section aria-label="Traces worth opening">
          <h2>Traces worth opening</h2>
          <ul class="traces">
            {of.traces.map((each) => (
              <li key={each.trace_id}>
                <span class={each.why === "failed" ? "errors" : "quiet"}>{each.why}</span> <TraceLink id={each.trace_id}>{each.name}</TraceLink> {each.duration_ns !== null && duration(each.duration_ns)}
              </li>
            ))}
          </ul>
        </section>
      )}
      <div class="halves">
        <Edges title="Called by" edges={of.edges.filter((edge) => edge.target === name)} other={(edge) => edge.source} />
        <Edges title="Calls" edges={of.edges.filter((edge) => edge.source === name)} other={(edge) => edge.target} />
      </div>
      {sends && <Operations name={name} of={of} />}
    </>
  );
}

function Figure({ name, value, before }: { name: string; value: string; before?: string | null }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} {before != null && before !== "–" && <span class="quiet small">before {before}</span>}
      </dd>
    </div>
  );
}

function Edges({ title, edges, other }: { title: string; edges: Edge[]; other: (edge: Edge) => string }) {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {edges.length === 0 ? (
        <p class="quiet">nobody</p>
      ) : (
        <Wide label={`${title}, as a table`}>
          <table>
            <thead>
              <tr>
                <th>State</th>
                <th>Who</th>
                <th class="number">Calls</th>
                <th class="number">Errors</th>
                <th class="number">p95, felt</th>
              </tr>
            </thead>
            <tbody>
              {[...edges]
                .sort((a, b) => b.calls - a.calls)
                .map((edge) => (
                  <tr key={`${other(edge)} ${edge.connection}`}>
                    <td>
                      <StateMark state={edge.state} />
                    </td>
                    <td>
                      <ServiceLink name={other(edge)} /> <span class="quiet">{edge.connection}</span>
                    </td>
                    <td class="number">{count(edge.calls)}</td>
                    <td class={`number${edge.errors > 0 && SICK.has(edge.state) ? " errors" : ""}`}>{errorShare(edge)}</td>
                    <td class="number">{duration(edge.client_p95_ns ?? edge.server_p95_ns)}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </Wide>
      )}
    </section>
  );
}

function Operations({ name, of }: { name: string; of: Told }) {
  return (
    <section aria-label="Operations">
      <h2>Operations</h2>
      <Wide label="Operations as a table">
        <table>
          <thead>
            <tr>
              <th>Operation</th>
              <th class="number">Rate</th>
              <th class="number">Errors</th>
              <th class="number">p95</th>
            </tr>
          </thead>
          <tbody>
            {of.operations.map((row) => (
              <tr key={row.operation}>
                <td>
                  <a href={link("search", "", { service: name, operation: row.operation, order: "slowest" })}>{row.operation || "(no name)"}</a>
                </td>
                <td class="number">{`${digits(row.calls / Math.max(of.seconds, 1e-9))}/s`}</td>
                <td class={`number${row.errors > 0.01 * row.calls ? " errors" : ""}`}>{errorShare(row)}</td>
                <td class="number">{duration(row.p95_ns)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      <p class="quiet small">{plural(of.operations.length, "operation")}, the most called first; a link searches for its slowest traces.</p>
    </section>
  );
}

function Begun({ name, time }: { name: string; time: Record<string, string> }) {
  const frames = useAsk<Frames>("flame", { service: name, ...time }, false);
  if (frames.data === undefined || frames.data.frames.length === 0) return null;
  return (
    <section aria-label="Flame graph">
      <h2>What requests that begin here waited for</h2>
      <Flame of={frames.data} />
    </section>
  );
}
