import { useEffect, useRef, useState } from "preact/hooks";
import type { Cell, Found, SpanRow, TraceRow } from "../documents";
import { count, duration, plural, when } from "../format";
import { useAsk } from "../hooks";
import { Problem, Shown, Waiting, Wide } from "../parts/basics";
import { HeatMap, type Cloud } from "../parts/heat_map";
import { Nothing } from "../parts/nothing";
import { change, go, link, windowOf } from "../route";

const FILTERS = ["where", "service", "operation", "kind", "status", "min_duration", "max_duration"] as const;
const KINDS = ["server", "client", "producer", "consumer", "internal"];
const STATUSES = ["error", "ok", "unset"];
const PAGE = "50";

type Names = { services?: string[]; keys?: string[]; operations?: string[] };

export function filtersOf(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(FILTERS.flatMap((name) => (params[name] ? [[name, params[name]]] : [])));
}

/** Traces, or spans, by anything that is known of them. */
export function Search({ params }: { params: Record<string, string> }) {
  const time = windowOf(params);
  const filters = filtersOf(params);
  const spans = params["spans"] === "1";
  const order = params["order"] ?? "newest";
  // A page further back stands still; only the first is asked for again.
  const first = params["after"] === undefined;
  const asked = { ...filters, ...time, order, limit: PAGE, spans: spans ? "1" : undefined, after: params["after"] };
  const found = useAsk<Found<TraceRow | SpanRow>>("search", asked, first);
  const cells = useAsk<{ cells: Cell[]; cut: boolean }>("latency", { ...filters, ...time }, first);
  const [cloud, setCloud] = useState<Cloud | null>(null);
  return (
    <>
      <h1>Search</h1>
      <Form params={params} />
      <section aria-label="Durations">
        {cells.data !== undefined && cells.data.cells.length > 0 && (
          <>
            <HeatMap key={JSON.stringify({ ...filters, ...time })} cells={cells.data.cells} onSelect={setCloud} onCompare={(whole) => go("compare", "", { ...filters, cell: cellOf(whole) })} />
            <p class="actions">
              {cloud === null ? (
                <a class="button" href={link("compare", "", { ...filters, slowest: "0.01" })}>
                  Compare the slowest 1 % with the rest
                </a>
              ) : (
                <CloudActions cloud={cloud} filters={filters} />
              )}
              {filters["status"] !== "error" && (
                <a class="button" href={link("compare", "", { ...filters, status: "error" })}>
                  Compare the failed with the rest
                </a>
              )}
            </p>
          </>
        )}
        {cells.loading && cells.data === undefined && <Waiting text="Measuring durations" />}
      </section>
      <section aria-label="Results">
        <Shown of={found} waiting="Searching">
          {(data) => (
            <>
              {cloud !== null && data.rows.length > 0 && (
                <p class="quiet small" role="status">
                  The table has all that the search finds, not only what is in the box: “Show only these” searches there.
                </p>
              )}
              {data.rows.length === 0 &&
                (data.hint !== null && Object.keys(filters).length === 0 ? <Nothing params={params} /> : <Problem text={data.hint === null ? "No more." : `Nothing was found: ${data.hint}.`} />)}
              {data.rows.length > 0 && (spans ? <SpanTable rows={data.rows as SpanRow[]} /> : <TraceTable rows={data.rows as TraceRow[]} />)}
              <p class="actions">
                {!first && (
                  <button type="button" onClick={() => change({ after: undefined })}>
                    First page
                  </button>
                )}
                {data.after !== null && (
                  <button type="button" onClick={() => change({ after: data.after ?? undefined })}>
                    {order === "newest" ? "Older" : "Faster"} ones
                  </button>
                )}
              </p>
            </>
          )}
        </Shown>
      </section>
    </>
  );
}

const cellOf = (cloud: Cloud) => [cloud.from_ns, cloud.to_ns, cloud.low_ns, cloud.high_ns].join(",");

function CloudActions({ cloud, filters }: { cloud: Cloud; filters: Record<string, string> }) {
  const range = { since: cloud.from_ns, until: cloud.to_ns, min_duration: `${cloud.low_ns}ns`, max_duration: `${cloud.high_ns - 1}ns` };
  return (
    <>
      <span>
        {plural(cloud.spans, "span")}, {count(cloud.errors)} with errors, {duration(cloud.low_ns)} to {duration(cloud.high_ns)}:
      </span>
      <a class="button strong" href={link("compare", "", { ...filters, cell: cellOf(cloud) })}>
        Compare these with the rest
      </a>
      <a class="button" href={link("search", "", { ...filters, ...range })}>
        Show only these
      </a>
    </>
  );
}

function Form({ params }: { params: Record<string, string> }) {
  const [draft, setDraft] = useState<Record<string, string>>({});
  const form = useRef<HTMLFormElement>(null);
  const names = useAsk<Names>("names", {}, false);
  const value = (name: string) => draft[name] ?? params[name] ?? "";
  const service = value("service");
  const known = names.data?.services?.includes(service) ?? false;
  const operations = useAsk<Names>("names", known ? { service } : null, false);
  useEffect(() => setDraft({}), [JSON.stringify(params)]);
  const set = (name: string) => (event: Event) => {
    const text = (event.currentTarget as HTMLInputElement).value;
    setDraft((last) => ({ ...last, [name]: text }));
  };
  const search = (more: Record<string, string | undefined> = {}) => change({ ...draft, ...more, after: undefined });
  return (
    <form
      ref={form}
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        const id = value("where").trim().replaceAll("-", "");
        if (/^[0-9a-f]{32}$/i.test(id)) go("trace", id.toLowerCase());
        else search();
      }}
    >
      <label class="where">
        Filter, or a trace id
        <input id="where" name="where" value={value("where")} onInput={set("where")} placeholder='http.route = "/cart" and duration > 200ms' autocomplete="off" spellcheck={false} maxLength={4096} aria-describedby="where-help" />
      </label>
      <label>
        Service
        <input name="service" list="services" value={service} onInput={set("service")} autocomplete="off" spellcheck={false} />
      </label>
      <label>
        Operation
        <input name="operation" list="operations" value={value("operation")} onInput={set("operation")} autocomplete="off" spellcheck={false} />
      </label>
      <label>
        Status
        <Choice name="status" of={STATUSES} value={value("status")} set={(text) => search({ status: text })} />
      </label>
      <label>
        Kind
        <Choice name="kind" of={KINDS} value={value("kind")} set={(text) => search({ kind: text })} />
      </label>
      <label>
        At least
        <input name="min_duration" class="short" value={value("min_duration")} onInput={set("min_duration")} placeholder="200ms" autocomplete="off" />
      </label>
      <label>
        At most
        <input name="max_duration" class="short" value={value("max_duration")} onInput={set("max_duration")} placeholder="2s" autocomplete="off" />
      </label>
      <label>
        Order
        <select name="order" value={params["order"] ?? "newest"} onChange={(event) => search({ order: event.currentTarget.value })}>
          <option value="newest">newest first</option>
          <option value="slowest">slowest first</option>
        </select>
      </label>
      <label>
        Show
        <select name="spans" value={params["spans"] ?? ""} onChange={(event) => search({ spans: event.currentTarget.value })}>
          <option value="">traces</option>
          <option value="1">spans</option>
        </select>
      </label>
      <button type="submit" class="strong">
        Search
      </button>
      <button type="button" onClick={() => go("search")}>
        Clear
      </button>
      <p id="where-help" class="quiet small">
        Everything has to be true of one span. Attributes by their keys; <code>=</code> <code>!=</code> <code>&lt;</code> <code>contains</code> <code>matches</code> <code>exists</code>, <code>and</code> <code>or</code> <code>not</code>.
      </p>
      <datalist id="services">{names.data?.services?.map((name) => <option key={name} value={name} />)}</datalist>
      <datalist id="operations">{operations.data?.operations?.map((name) => <option key={name} value={name} />)}</datalist>
    </form>
  );
}

function Choice({ name, of, value, set }: { name: string; of: string[]; value: string; set: (value: string) => void }) {
  return (
    <select name={name} value={value} onChange={(event) => set(event.currentTarget.value)}>
      <option value="">any</option>
      {of.map((each) => (
        <option key={each}>{each}</option>
      ))}
    </select>
  );
}

export function TraceTable({ rows }: { rows: TraceRow[] }) {
  const longest = Math.max(1, ...rows.map((row) => row.duration_ns));
  return (
    <Wide label="Traces">
      <table>
        <thead>
          <tr>
            <th>Began</th>
            <th>Request</th>
            <th class="number">Duration</th>
            <th class="bar-column">
              <span class="unseen">Duration as a bar</span>
            </th>
            <th class="number">Spans</th>
            <th class="number">Errors</th>
            <th>Services</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.trace_id}>
              <td class="time">{when(row.start_ns, true)}</td>
              <td>
                <a href={link("trace", row.trace_id)}>
                  {row.root_service} {row.root_operation}
                </a>
              </td>
              <td class="number">{duration(row.duration_ns)}</td>
              <td class="bar-column">
                <span class="bar" style={{ width: `${(100 * row.duration_ns) / longest}%` }} />
              </td>
              <td class="number">{count(row.spans)}</td>
              <td class={`number${row.errors > 0 ? " errors" : ""}`}>{row.errors > 0 ? count(row.errors) : "–"}</td>
              <td class="quiet cut" title={row.services.join(", ")}>
                {row.services.join(", ")}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function SpanTable({ rows }: { rows: SpanRow[] }) {
  return (
    <Wide label="Spans">
      <table>
        <thead>
          <tr>
            <th>Began</th>
            <th>Service</th>
            <th>Operation</th>
            <th class="number">Duration</th>
            <th>Kind</th>
            <th>Status</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.trace_id} ${row.span_id}`}>
              <td class="time">{when(row.start_ns, true)}</td>
              <td>{row.service}</td>
              <td>
                <a href={link("trace", row.trace_id, { span: row.span_id })}>{row.operation}</a>
              </td>
              <td class="number">{duration(row.duration_ns)}</td>
              <td>{row.kind}</td>
              <td class={row.status === "error" ? "errors" : ""}>{row.status}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
