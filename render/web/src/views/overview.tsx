import type { Cause, Causes, Mark, Node, PathStep, Step, Topology } from "../documents";
import { count, digits, duration, errorShare, momentOf, ms, plural, rate, share, when } from "../format";
import { useAsk, type Answer } from "../hooks";
import { LineChart } from "../parts/line_chart";
import { ServiceLink, Shown, StateMark, TraceLink, Wide } from "../parts/basics";
import { Nothing } from "../parts/nothing";
import { change, link, windowOf } from "../route";

/** An error here and there is no news; where something is wrong it is. */
export const SICK = new Set(["failing", "degraded"]);
const BADNESS: Record<string, number> = { failing: 0, degraded: 1, absent: 2, healthy: 3, idle: 4 };

/** How everything is: what broke, rates, errors, latency, states. */
export function Overview({ params }: { params: Record<string, string> }) {
  const time = windowOf(params);
  const topology = useAsk<Topology>("topology", time);
  const causes = useAsk<Causes>("causes", time);
  const changes = params["changes"] === "1";
  // Changes are looked for among spans, which is dear: once, and only if somebody wants to know.
  const marks = useAsk<{ marks: Mark[] }>("marks", changes ? { ...time, changes: "1" } : time, !changes);
  const silent = marks.data?.marks.filter((mark) => mark.kind === "absence" && mark.end_ns === null) ?? [];
  const empty = topology.data?.spans === 0;
  return (
    <>
      <h1 class="unseen">Overview</h1>
      {empty ? (
        <Nothing params={params} />
      ) : (
        <>
          <Verdict of={causes} silent={silent} time={time} />
          <Lines time={time} marks={marks} silent={silent} changes={changes} />
        </>
      )}
      <Shown of={topology} waiting="Measuring services">
        {(data) => (data.spans === 0 ? null : <Services of={data} blamed={blamed(causes.data)} />)}
      </Shown>
    </>
  );
}

/** So many of those who fell silent together are named. */
const TOLD_SILENT = 6;

/** Who is silent, by since when. */
function bySilence(marks: Mark[]): [Mark["start_ns"], string[]][] {
  const groups = new Map<string, [Mark["start_ns"], string[]]>();
  for (const mark of marks) {
    const group = groups.get(String(mark.start_ns)) ?? [mark.start_ns, []];
    group[1].push(mark.service ?? "");
    groups.set(String(mark.start_ns), group);
  }
  return [...groups.values()];
}

/** The diagnosis in a sentence, and its causes to open. */
function Verdict({ of, silent, time }: { of: Answer<Causes>; silent: Mark[]; time: { until?: string } }) {
  return (
    <section aria-label="Diagnosis" class="verdict">
      <Shown of={of} waiting="Looking for causes">
        {(data) => {
          const named = data.causes.filter((cause) => cause.named);
          const suspect = data.causes.find((cause) => !cause.named);
          return (
            <>
              {named.length === 0 && (
                <p class={silent.length === 0 && suspect === undefined ? "calm" : "told"}>
                  <b>{data.window === null ? "Nothing to compare with yet" : silent.length > 0 ? "The requests that come are as they were" : "Nothing is significantly wrong"}</b>
                  {data.window === null ? ": a diagnosis needs some minutes before these." : time.until === undefined ? " now." : " in this time."}
                </p>
              )}
              {named.map((cause) => (
                <CauseCard key={cause.rank} cause={cause} since={begun(data, cause)} path={data.paths.filter((step) => step.rank === cause.rank)} first={cause === named[0]} />
              ))}
              {named.length === 0 && suspect !== undefined && <CauseCard cause={suspect} since={begun(data, suspect)} path={[]} first={false} />}
              {silent.length > 0 && (
                <p class="silent">
                  <b>Silent:</b>{" "}
                  {bySilence(silent).map(([since, names], number) => (
                    <span key={number}>
                      {number > 0 && "; "}
                      {names.slice(0, TOLD_SILENT).map((name, place) => (
                        <span key={name}>
                          {place > 0 && ", "}
                          <ServiceLink name={name} />
                        </span>
                      ))}
                      {names.length > TOLD_SILENT && ` and ${names.length - TOLD_SILENT} more`}
                      {since !== null && ` since ${when(since)}`}
                    </span>
                  ))}
                  . {silent.length > 1 ? "They were" : "It was"} called steadily before.
                </p>
              )}
              {data.explained.map((each) => (
                <p key={each.service} class="quiet">
                  <ServiceLink name={each.service} /> ({each.kind}) is explained by {each.explained_by}.
                </p>
              ))}
              <Compared of={data} />
            </>
          );
        }}
      </Shown>
    </section>
  );
}

function Compared({ of }: { of: Causes }) {
  if (of.window === null) return null;
  const [since, until] = of.window;
  const before = of.baseline?.[0];
  return (
    <p class="quiet small">
      {of.stands_out ? "The time that stands out: " : "Looked at "}
      {when(since)} – {when(until)} ({plural(of.traces ?? 0, "trace")})
      {before !== undefined && (
        <>
          , compared with {when(before[0])} – {when((of.baseline?.at(-1) ?? before)[1])} ({count(of.base_traces ?? 0)})
        </>
      )}
      .{" "}
      <a href={link("", "", { since, until })}>Show only this time</a>
    </p>
  );
}

/** When it began: what lasts is compared with a time that ended before the one that was looked at. */
function begun(data: Causes, cause: Cause): string {
  const before = data.baseline?.at(-1)?.[1];
  const lasts = before !== undefined && data.window !== null && !data.stands_out && BigInt(before) < BigInt(data.window[0]);
  return lasts ? `about ${when(before)}` : when(cause.since_ns);
}

function CauseCard({ cause, since, path, first }: { cause: Cause; since: string; path: PathStep[]; first: boolean }) {
  const between = cause.source !== null && cause.target !== null;
  return (
    <article class={cause.named ? "cause" : "cause suspect"}>
      <h2>
        <span class="tag">{cause.named ? (first ? "likely cause" : "also") : "suspect, not proved"}</span>{" "}
        {between ? (
          <>
            <ServiceLink name={cause.source ?? ""} /> → <ServiceLink name={cause.target ?? ""} />
          </>
        ) : (
          <ServiceLink name={cause.service} />
        )}
        <span class="kind"> {cause.kind}</span>
      </h2>
      <p>{cause.sentence}</p>
      <p class="quiet small">
        Since {since}
        {cause.waited_after_ns !== null && cause.waited_before_ns !== null && (
          <>
            {" "}
            · traces wait for it {duration(cause.waited_after_ns)} on average, before {duration(cause.waited_before_ns)}
          </>
        )}{" "}
        · {plural(cause.channels, "sign")} of it (p {cause.p_value < 1e-12 ? "< 1e-12" : `= ${cause.p_value.toExponential(0)}`})
      </p>
      <p class="actions">
        {cause.bad_trace !== null && (
          <a class="button" href={link("trace", cause.bad_trace)}>
            Open the worst trace
          </a>
        )}
        {cause.typical_trace !== null && (
          <a class="button" href={link("trace", cause.typical_trace)}>
            As it used to be
          </a>
        )}
        <a class="button" href={link("service", cause.service)}>
          {cause.service}
        </a>
      </p>
      {path.length > 0 && (
        <details>
          <summary>What both traces waited for, step by step</summary>
          <Wide label="What both traces waited for">
            <table>
              <thead>
                <tr>
                  <th>Step</th>
                  <th class="number">As it used to be</th>
                  <th class="number">In the worst trace</th>
                </tr>
              </thead>
              <tbody>
                {path.map((step) => (
                  <tr key={step.step} class={step.bad_ns > 3 * step.typical_ns && step.bad_ns > 0.2 * total(path) ? "worst" : ""}>
                    <td>
                      {step.service}
                      {step.target !== null && ` → ${step.target}`} <span class="quiet">{step.operation}</span>
                    </td>
                    <td class="number">{step.typical_ns === 0 ? "–" : duration(step.typical_ns)}</td>
                    <td class="number">{step.bad_ns === 0 ? "–" : duration(step.bad_ns)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Wide>
        </details>
      )}
    </article>
  );
}

const total = (path: PathStep[]) => path.reduce((all, step) => all + step.bad_ns, 0);

function Lines({ time, marks, silent, changes }: { time: Record<string, string>; marks: Answer<{ marks: Mark[] }>; silent: Mark[]; changes: boolean }) {
  const steps = useAsk<{ steps: Step[] }>("timeline", time);
  return (
    <>
      <Shown of={steps} waiting="Drawing the timeline">
        {(data) => <RedLines steps={data.steps} marks={marks.data?.marks ?? []} />}
      </Shown>
      <Shown of={marks} waiting={changes ? "Looking for what changed" : "Looking for what happened"}>
        {(data) => <Happened marks={data.marks.filter((mark) => !silent.includes(mark))} changes={changes} />}
      </Shown>
    </>
  );
}

const SHOWN_MARKS = 12;

/** The marks of the timeline in words, each with its time to go to. */
function Happened({ marks, changes }: { marks: Mark[]; changes: boolean }) {
  const latest = [...marks].sort((a, b) => ms(b.start_ns ?? "0") - ms(a.start_ns ?? "0")).slice(0, SHOWN_MARKS);
  return (
    <section aria-label="What happened">
      {latest.length > 0 && (
        <ul class="happened">
          {latest.map((mark, number) => (
            <li key={number}>
              <span class={`kind ${mark.kind}`}>{mark.kind}</span>{" "}
              <span class="quiet">
                {mark.start_ns !== null && when(mark.start_ns)}
                {mark.end_ns !== null && ` – ${when(mark.end_ns)}`}
              </span>{" "}
              {mark.service !== null && <ServiceLink name={mark.service} />} {mark.text}{" "}
              {mark.start_ns !== null && mark.end_ns !== null && <a href={link("", "", { since: mark.start_ns, until: mark.end_ns })}>Show this time</a>}
            </li>
          ))}
        </ul>
      )}
      {marks.length > SHOWN_MARKS && <p class="quiet small">and {count(marks.length - SHOWN_MARKS)} earlier ones</p>}
      {!changes && (
        <p>
          <button type="button" onClick={() => change({ changes: "1" })}>
            Look for changes in this time
          </button>
        </p>
      )}
      {changes && !marks.some((mark) => mark.kind === "change") && <p class="quiet">No stretch of this time is unlike the rest.</p>}
    </section>
  );
}

/** Rate, errors, p95 over time, of whatever `steps` are of. */
export function RedLines({ steps, marks = [] }: { steps: Step[]; marks?: Mark[] }) {
  const first = steps[0];
  const last = steps.at(-1);
  if (first === undefined || last === undefined) return null;
  const from = ms(first.start_ns);
  const before = steps.at(-2);
  const to = last.end_ns !== undefined ? ms(last.end_ns) : ms(last.start_ns) + (before === undefined ? 1000 : ms(last.start_ns) - ms(before.start_ns));
  const points = (value: (step: Step) => number | null) => steps.map((step) => ({ at: ms(step.start_ns), value: value(step) }));
  const common = { from, to, marks, onSelect: (a: number, b: number) => change({ since: momentOf(a), until: momentOf(b) }) };
  return (
    <section class="lines" aria-label="Over time">
      <LineChart title="Requests" points={points((step) => step.rate_per_s)} format={(value) => `${digits(value)}/s`} {...common} />
      <LineChart title="Errors" least={0.02} points={points((step) => step.error_rate)} format={share} tone="bad" {...common} />
      <LineChart title="p95" points={points((step) => step.p95_ns)} format={duration} {...common} />
    </section>
  );
}

/** Who is named as a cause: over a long time its own state may not show it. */
export function blamed(causes: Causes | undefined): Set<string> {
  return new Set(causes?.causes.filter((cause) => cause.named).map((cause) => cause.service));
}

/** Causes first, then the sick, then the busy. */
export function sorted(nodes: Node[], causes: Set<string>): Node[] {
  const badness = (node: Node) => (causes.has(node.service) ? -1 : (BADNESS[node.state] ?? 9));
  return [...nodes].sort((a, b) => badness(a) - badness(b) || b.calls - a.calls);
}

function Services({ of, blamed }: { of: Topology; blamed: Set<string> }) {
  const nodes = sorted(of.nodes, blamed);
  const states = Object.keys(BADNESS).map((state) => [state, nodes.filter((node) => node.state === state).length] as const);
  return (
    <section aria-label="Services">
      <h2>
        Services{" "}
        <span class="states">
          {states
            .filter(([, number]) => number > 0)
            .map(([state, number]) => (
              <span key={state}>
                {number} <StateMark state={state as Node["state"]} />
              </span>
            ))}
        </span>
      </h2>
      <NodeTable nodes={nodes} seconds={of.seconds} blamed={blamed} />
      <p class="quiet small">
        {plural(of.spans, "span")} in {plural(of.traces, "trace")}, {when(of.since_ns)} – {when(of.until_ns)}. States compare this whole time with the past of each: a shorter time shows sooner what is new. Fewer than 20 calls are idle.
      </p>
    </section>
  );
}

export function NodeTable({ nodes, seconds, blamed }: { nodes: Node[]; seconds: number; blamed: Set<string> }) {
  return (
    <Wide label="Services as a table">
      <table>
        <thead>
          <tr>
            <th>State</th>
            <th>Service</th>
            <th class="number">Rate</th>
            <th class="number">Errors</th>
            <th class="number">p50</th>
            <th class="number">p95</th>
            <th class="number">p99</th>
            <th>Traces</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.service}>
              <td>
                <StateMark state={node.state} />
              </td>
              <td>
                <ServiceLink name={node.service} /> {node.kind !== "service" && <span class="quiet">{node.kind}</span>} {blamed.has(node.service) && <span class="tag">likely cause</span>}
              </td>
              <td class="number">{rate(node.calls / Math.max(seconds, 1e-9))}</td>
              <td class={`number${node.errors > 0 && SICK.has(node.state) ? " errors" : ""}`}>{errorShare(node)}</td>
              <td class="number">{duration(node.p50_ns)}</td>
              <td class="number">{duration(node.p95_ns)}</td>
              <td class="number">{duration(node.p99_ns)}</td>
              <td>
                <TraceLink id={node.slowest_trace}>slowest</TraceLink> <TraceLink id={node.failed_trace}>failed</TraceLink>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
