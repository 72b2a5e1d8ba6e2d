import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Note, SpanDetail, Trace as Told, TraceSpan } from "../documents";
import { count, duration, ms, plain, plural, when } from "../format";
import { useAsk, useWidth } from "../hooks";
import { Attributes, ServiceLink, Shown, TraceLink, Wide } from "../parts/basics";
import { change, link } from "../route";

type Tab = "waterfall" | "flame" | "logs";
type Show = "all" | "critical" | "errors";

/** One trace: waterfall with its critical path, as flames, with its events and logs. */
export function Trace({ id, params }: { id: string; params: Record<string, string> }) {
  const found = useAsk<Told>("trace", { id }, false);
  return (
    <>
      {found.data === undefined && <h1>Trace</h1>}
      <Shown of={found} waiting="Reading the trace">
        {(data) => <Whole of={data} params={params} />}
      </Shown>
      {found.error !== undefined && (
        <p>
          <a href={link("search")}>To the search</a>
        </p>
      )}
    </>
  );
}

function Whole({ of, params }: { of: Told; params: Record<string, string> }) {
  const tab = (params["tab"] ?? "waterfall") as Tab;
  const root = of.spans[of.root];
  const errors = of.spans.filter((span) => span.status === "error").length;
  const services = [...new Set(of.spans.map((span) => span.service))];
  const begin = ms(of.start_ns);
  const around = { since: minus(of.start_ns, 300_000_000_000n), until: minus(of.start_ns, BigInt(-Math.round(of.length_ns)) - 300_000_000_000n) };
  return (
    <>
      <h1>
        {root?.service} {root?.operation} <span class="figure">{duration(root?.duration_ns)}</span>
      </h1>
      <p class="quiet facts">
        <span>{when(of.start_ns, true)}</span>
        {root !== undefined && of.ended_ns > 1.05 * root.duration_ns && <span>its last span ended after {duration(of.ended_ns)}</span>}
        <span>{plural(of.all_spans, "span")}</span>
        <span class={errors > 0 ? "errors" : ""}>{plural(errors, "error")}</span>
        <span>{plural(services.length, "service")}</span>
        <span class="id">{of.trace_id}</span>
        <a href={link("topology", "", around)}>the map at that time</a>
        <a href={link("world", "", { since: around.since, until: minus(of.start_ns, BigInt(-Math.ceil(of.ended_ns)) - 1n), trace: of.trace_id })}>replay it through the world</a>
      </p>
      {root?.status === "error" && root.status_message !== null && <p class="problem-text">{root.status_message}</p>}
      <Notices of={of} />
      <nav class="tabs" aria-label="Ways to see this trace">
        {(
          [
            ["waterfall", "Waterfall"],
            ["flame", "Flames"],
            ["logs", `Events and logs (${of.all_notes})`],
          ] as const
        ).map(([name, label]) => (
          <a key={name} href={link("trace", of.trace_id, { ...params, tab: name === "waterfall" ? undefined : name })} aria-current={tab === name ? "page" : undefined}>
            {label}
          </a>
        ))}
      </nav>
      {tab === "waterfall" && <Waterfall of={of} params={params} />}
      {tab === "flame" && <Lanes of={of} />}
      {tab === "logs" && <Notes of={of} begin={begin} />}
    </>
  );
}

function Notices({ of }: { of: Told }) {
  return (
    <>
      {of.all_spans > of.spans.length && <p class="notice">{count(of.spans.length)} of {count(of.all_spans)} spans are shown: the critical path, errors, the longest, and the way to them.</p>}
      {of.voids > 0 && <p class="notice">{plural(of.voids, "parent")} that spans name {of.voids === 1 ? "is" : "are"} not stored: not sent yet, lost, or pruned.</p>}
    </>
  );
}

function Waterfall({ of, params }: { of: Told; params: Record<string, string> }) {
  const [filter, setFilter] = useState("");
  const show = (params["show"] ?? "all") as Show;
  const list = useRef<HTMLOListElement>(null);
  const open = params["span"];
  const lit = useMemo(() => grouped(of.lit), [of]);
  const notes = useMemo(() => grouped(of.notes), [of]);
  const seen = useMemo(() => chosen(of.spans, show, filter, lit), [of, show, filter]);
  useEffect(() => {
    if (open !== undefined) list.current?.querySelector(`[data-span="${CSS.escape(open)}"]`)?.scrollIntoView({ block: "nearest" });
  }, []);
  const step = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (by === undefined || !(event.target instanceof HTMLButtonElement)) return;
    const buttons = [...(list.current?.querySelectorAll<HTMLButtonElement>("button.line") ?? [])];
    buttons[buttons.indexOf(event.target) + by]?.focus();
    event.preventDefault();
  };
  return (
    <section aria-label="Waterfall">
      <div class="search small-form">
        <label>
          Show
          <select value={show} onChange={(event) => change({ show: event.currentTarget.value === "all" ? undefined : event.currentTarget.value }, true)}>
            <option value="all">all spans</option>
            <option value="critical">the critical path</option>
            <option value="errors">errors</option>
          </select>
        </label>
        <label>
          Service or operation
          <input value={filter} onInput={(event) => setFilter(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </label>
        <span class="legend quiet small">
          <span class="swatch lit" /> critical path: what the request waited for
        </span>
      </div>
      <Ruler length={of.length_ns} />
      <ol class="waterfall" ref={list} onKeyDown={step}>
        {seen.map((number) => {
          const span = of.spans[number];
          return span === undefined ? null : (
            <Row key={span.span_id} of={of} span={span} lit={lit.get(number) ?? []} notes={notes.get(number) ?? []} open={span.span_id === open} />
          );
        })}
      </ol>
      {seen.length === 0 && <p class="quiet">No span of this trace is like that.</p>}
    </section>
  );
}

function Row({ of, span, lit, notes, open }: { of: Told; span: TraceSpan; lit: Told["lit"]; notes: Note[]; open: boolean }) {
  const part = (ns: number) => `${(100 * ns) / Math.max(of.length_ns, 1)}%`;
  const end = span.at_ns + span.for_ns;
  // Where a bar is long its duration stands in it, else beside it, on the side that has room.
  const inside = span.for_ns > 0.3 * of.length_ns;
  const took = inside || end > 0.75 * of.length_ns ? { right: `calc(100% - ${part(inside ? end : span.at_ns)} + 0.4rem)` } : { left: `calc(${part(end)} + 0.4rem)` };
  return (
    <li data-span={span.span_id}>
      <button type="button" class={`line${span.status === "error" ? " failed" : ""}`} aria-expanded={open} onClick={() => change({ span: open ? undefined : span.span_id }, true)}>
        <span class="what" style={{ paddingLeft: `${Math.min(span.depth, 24) * 0.7}rem` }}>
          <span class={`chip ${of.colours[span.service] ?? "s7"}`} aria-hidden="true" />
          {span.status === "error" && (
            <span class="errors" title="error">
              ✕<span class="unseen"> error</span>
            </span>
          )}{" "}
          <b>{span.service}</b> <span class="operation">{span.operation}</span>
        </span>
        <span class="track">
          <span class={`span ${of.colours[span.service] ?? "s7"}`} style={{ left: part(span.at_ns), width: part(span.for_ns) }} />
          {lit.map((piece) => (
            <span key={piece.at_ns} class="lit" style={{ left: part(piece.at_ns), width: part(piece.for_ns) }} />
          ))}
          {notes.slice(0, 20).map((note, number) => (
            <span key={number} class={`note ${note.kind}`} style={{ left: part(note.at_ns) }} title={`${note.kind}: ${note.text ?? ""}`} />
          ))}
          <span class={inside ? `took inside ${of.colours[span.service] ?? "s7"}` : "took"} style={took}>
            {duration(span.duration_ns)}
            {outlasts(span) && <span title={OUTLASTS}> ⇥</span>}
          </span>
        </span>
      </button>
      {open && <Detail trace={of} span={span} />}
    </li>
  );
}

function Detail({ trace, span }: { trace: Told; span: TraceSpan }) {
  const found = useAsk<SpanDetail>("span", { id: trace.trace_id, span: span.span_id }, false);
  return (
    <div class="detail">
      <dl class="figures">
        <Fact name="Service">
          <ServiceLink name={span.service} />
        </Fact>
        <Fact name="Operation">
          <a href={link("search", "", { service: span.service, operation: span.operation })}>{span.operation}</a>
        </Fact>
        <Fact name="Took">
          {duration(span.duration_ns)} {outlasts(span) && <span class="quiet">of which its caller waited {duration(span.for_ns)}</span>}
        </Fact>
        <Fact name="Own work">{duration(span.self_ns)}</Fact>
        <Fact name="On the critical path">{duration(span.critical_ns)}</Fact>
        <Fact name="Kind">{span.kind}</Fact>
        <Fact name="Status">
          <span class={span.status === "error" ? "errors" : ""}>
            {span.status}
            {span.status_message !== null && span.status_message !== "" && `: ${span.status_message}`}
          </span>
        </Fact>
      </dl>
      <Shown of={found} waiting="Reading the span">
        {(data) => (
          <>
            {data.events.map((event, number) => (
              <section key={number} aria-label={`Event ${event.name}`}>
                <h2>
                  Event: {event.name} <span class="quiet small">{when(event.time_ns, true)}</span>
                </h2>
                <Attributes of={event.attributes} owner="event." />
              </section>
            ))}
            {data.logs.map((log, number) => (
              <section key={number} aria-label="Log record">
                <h2>
                  Log: <span class={/error|fatal/.test(log.severity) ? "errors" : ""}>{log.severity}</span> {log.body} <span class="quiet small">{when(log.time_ns, true)}</span>
                </h2>
                {log.attributes.length > 0 && <Attributes of={log.attributes} />}
              </section>
            ))}
            {data.links.length > 0 && (
              <section aria-label="Links">
                <h2>Links</h2>
                <ul>
                  {data.links.map((each, number) => (
                    <li key={number}>
                      <TraceLink id={each.trace_id}>{each.trace_id}</TraceLink>
                    </li>
                  ))}
                </ul>
              </section>
            )}
            <div class="halves">
              <section aria-label="Attributes">
                <h2>Attributes</h2>
                <Attributes of={data.attributes} owner="span." />
              </section>
              <section aria-label="Resource">
                <h2>Resource</h2>
                <Attributes of={data.resource} owner="resource." />
                <p class="quiet small id">
                  span {data.span_id} · scope {data.scope || "none"}
                </p>
              </section>
            </div>
          </>
        )}
      </Shown>
    </div>
  );
}

const OUTLASTS = "It went on when its caller had stopped waiting: the bar is as long as that waited.";
const outlasts = (span: TraceSpan) => span.duration_ns > 1.02 * span.for_ns;

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Ruler({ length }: { length: number }) {
  return (
    <div class="ruler" aria-hidden="true">
      <span />
      <span class="track">
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <span key={part} class="small quiet" style={part === 1 ? { right: "0" } : { left: `${part * 100}%` }}>
            {duration(length * part)}
          </span>
        ))}
      </span>
    </div>
  );
}

const LANE = 22;

/** Spans over time, who was called below who called: lanes, so that nothing covers anything. */
function Lanes({ of }: { of: Told }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [told, setTold] = useState<TraceSpan | null>(null);
  const lanes = 1 + Math.max(0, ...of.spans.map((span) => span.lane));
  const lit = useMemo(() => new Set(of.lit.map((piece) => piece.span)), [of]);
  return (
    <section aria-label="Flames" class="flame">
      <p class="quiet small told">
        {told === null ? "Width is time. Choose a span to open it." : `${told.service} ${told.operation}: ${duration(told.duration_ns)}, ${duration(told.self_ns)} of it own work, ${duration(told.critical_ns)} on the critical path`}
      </p>
      <div ref={box} class="frames" style={{ height: `${lanes * LANE}px` }}>
        {of.spans.map((span, number) => {
          const wide = (span.for_ns / Math.max(of.length_ns, 1)) * width;
          return (
            <button
              type="button"
              key={span.span_id}
              class={`frame ${of.colours[span.service] ?? "s7"}${lit.has(number) ? " on-path" : ""}${span.status === "error" ? " failed" : ""}`}
              style={{ left: `${(span.at_ns / Math.max(of.length_ns, 1)) * width}px`, width: `${Math.max(wide - 1, 2)}px`, top: `${span.lane * LANE}px` }}
              aria-label={`${span.service} ${span.operation}, ${duration(span.duration_ns)}`}
              onPointerEnter={() => setTold(span)}
              onFocus={() => setTold(span)}
              onClick={() => change({ tab: undefined, span: span.span_id })}
            >
              {wide > 30 && `${span.service} ${span.operation}`}
            </button>
          );
        })}
      </div>
    </section>
  );
}

function Notes({ of, begin }: { of: Told; begin: number }) {
  if (of.notes.length === 0) return <p class="quiet">This trace has no events, and no logs name it.</p>;
  return (
    <Wide label="Events and logs">
      <table>
        <thead>
          <tr>
            <th class="number">After</th>
            <th>Time</th>
            <th>What</th>
            <th>Span</th>
            <th>Text</th>
          </tr>
        </thead>
        <tbody>
          {of.notes.map((note, number) => {
            const span = note.span === null ? undefined : of.spans[note.span];
            return (
              <tr key={number}>
                <td class="number">{duration(note.at_ns)}</td>
                <td class="time quiet">{when(begin + note.at_ns / 1e6, true)}</td>
                <td class={note.severity !== null && /error|fatal/.test(note.severity) ? "errors" : ""}>{note.severity ?? note.kind}</td>
                <td>
                  {span !== undefined && (
                    <a href={link("trace", of.trace_id, { span: span.span_id })}>
                      {span.service} {span.operation}
                    </a>
                  )}
                </td>
                <td class="note-text">
                  {said(note)}
                  {note.attributes.length > 0 && (
                    <details>
                      <summary>{plural(note.attributes.length, "attribute")}</summary>
                      <Attributes of={note.attributes} owner={note.kind === "event" ? "event." : ""} />
                    </details>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Wide>
  );
}

/** An exception by what it says: all of them are called alike. */
function said(note: Note): string {
  const has = (name: string) => note.attributes.find(([key]) => key === name)?.[1];
  const parts = [has("exception.type"), has("exception.message")].filter((part) => part !== undefined).map(plain);
  return parts.length > 0 ? parts.join(": ") : (note.text ?? "");
}

function grouped<T extends { span: number | null }>(rows: T[]): Map<number, T[]> {
  const found = new Map<number, T[]>();
  for (const row of rows) if (row.span !== null) found.set(row.span, [...(found.get(row.span) ?? []), row]);
  return found;
}

/** Rows that are shown: those that match, in their order. */
function chosen(spans: TraceSpan[], show: Show, filter: string, lit: Map<number, unknown>): number[] {
  const wanted = filter.trim().toLowerCase();
  return spans.flatMap((span, number) => {
    if (show === "errors" && span.status !== "error") return [];
    if (show === "critical" && !lit.has(number)) return [];
    return `${span.service} ${span.operation}`.toLowerCase().includes(wanted) ? [number] : [];
  });
}

function minus(moment: string, ns: bigint): string {
  return (BigInt(moment) - ns).toString();
}
