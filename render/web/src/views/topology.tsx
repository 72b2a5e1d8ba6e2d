import type { Causes, Topology as Told } from "../documents";
import { count, duration, errorShare, plural } from "../format";
import { useAsk } from "../hooks";
import { ServiceLink, Shown, StateMark, TraceLink, Wide } from "../parts/basics";
import { FlatMap } from "../parts/flat_map";
import { Nothing } from "../parts/nothing";
import { windowOf } from "../route";
import { blamed, NodeTable, SICK, sorted } from "./overview";

const BADNESS: Record<string, number> = { failing: 0, degraded: 1, absent: 2, healthy: 3, idle: 4 };

/** Who calls whom: a flat map, and the same as tables. */
export function Topology({ params }: { params: Record<string, string> }) {
  const found = useAsk<Told>("topology", windowOf(params));
  const causes = blamed(useAsk<Causes>("causes", windowOf(params)).data);
  return (
    <>
      <h1>Map</h1>
      <Shown of={found} waiting="Finding out who calls whom">
        {(data) =>
          data.spans === 0 ? (
            <Nothing params={params} />
          ) : (
            <>
              <Wide label="Map of services">
                <FlatMap map={data.map} nodes={data.nodes} blamed={causes} />
              </Wide>
              {data.map.left_out > 0 && <p class="quiet small">{plural(data.map.left_out, "node")} that are well and have the fewest calls are only in the table.</p>}
              <h2>Connections</h2>
              <Edges of={data} />
              <h2>Services</h2>
              <NodeTable nodes={sorted(data.nodes, causes)} seconds={data.seconds} blamed={causes} />
            </>
          )
        }
      </Shown>
    </>
  );
}

function Edges({ of }: { of: Told }) {
  const edges = [...of.edges].sort((a, b) => (BADNESS[a.state] ?? 9) - (BADNESS[b.state] ?? 9) || b.calls - a.calls);
  return (
    <Wide label="Connections as a table">
      <table>
        <thead>
          <tr>
            <th>State</th>
            <th>From</th>
            <th>To</th>
            <th>By</th>
            <th class="number">Calls</th>
            <th class="number">Errors</th>
            <th class="number">p95 at the caller</th>
            <th class="number">p95 at the called</th>
            <th>Traces</th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={`${edge.source} ${edge.target} ${edge.connection}`}>
              <td>
                <StateMark state={edge.state} />
              </td>
              <td>
                <ServiceLink name={edge.source} />
              </td>
              <td>
                <ServiceLink name={edge.target} />
              </td>
              <td class="quiet">{edge.connection}</td>
              <td class="number">{count(edge.calls)}</td>
              <td class={`number${edge.errors > 0 && SICK.has(edge.state) ? " errors" : ""}`}>{errorShare(edge)}</td>
              <td class="number">{duration(edge.client_p95_ns)}</td>
              <td class="number">{duration(edge.server_p95_ns)}</td>
              <td>
                <TraceLink id={edge.slowest_trace}>slowest</TraceLink> <TraceLink id={edge.failed_trace}>failed</TraceLink>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
