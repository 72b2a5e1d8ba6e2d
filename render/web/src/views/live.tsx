import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { AskError, pause, request } from "../ask";
import type { Arrived } from "../documents";
import { count, duration, when } from "../format";
import { Told } from "../hooks";
import { Problem, Wide } from "../parts/basics";
import { change, link } from "../route";

const SHOWN = 300;
const AGAIN_MS = 3000;

interface Line {
  rows: Arrived[];
  skipped: number;
  error?: string;
}

/** What arrives, as it arrives. */
export function Live({ params }: { params: Record<string, string> }) {
  const where = params["where"] ?? "";
  const traces = params["traces"] !== "0";
  const told = useContext(Told);
  const [rows, setRows] = useState<Arrived[]>([]);
  const [seen, setSeen] = useState(0);
  const [skipped, setSkipped] = useState(0);
  const [state, setState] = useState("connecting");
  const [error, setError] = useState("");
  const [paused, setPaused] = useState(false);
  const [draft, setDraft] = useState(where);
  const held = useRef(paused);
  held.current = paused;
  useEffect(() => setDraft(where), [where]);
  useEffect(() => {
    const stop = new AbortController();
    setRows([]);
    setSeen(0);
    setSkipped(0);
    setError("");
    const take = (line: Line) => {
      if (line.error) throw new AskError(line.error, 400);
      setState("connected");
      setError("");
      setSeen((all) => all + line.rows.length + line.skipped);
      setSkipped((all) => all + line.skipped);
      if (line.rows.length > 0 && !held.current) setRows((last) => [...line.rows.reverse(), ...last].slice(0, SHOWN));
    };
    const follow = async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const line of lines(await request("tail", { where, traces: traces ? "1" : "0" }, stop.signal))) take(line);
        } catch (problem) {
          if (stop.signal.aborted) return;
          const found = problem instanceof AskError ? problem : new AskError("The connection was lost.", 0);
          setError(found.message);
          if (found.status === 401) told(found);
          if (found.status >= 400 && found.status < 500) {
            setState("stopped");
            return;
          }
        }
        setState("connecting again");
        await pause(AGAIN_MS, stop.signal).catch(() => undefined);
      }
    };
    void follow();
    return () => stop.abort();
  }, [where, traces]);
  return (
    <>
      <h1>Live</h1>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          change({ where: draft });
        }}
      >
        <label class="where">
          Filter
          <input id="where" value={draft} onInput={(event) => setDraft(event.currentTarget.value)} placeholder="status = error" autocomplete="off" spellcheck={false} />
        </label>
        <label>
          Show
          <select value={traces ? "1" : "0"} onChange={(event) => change({ traces: event.currentTarget.value })}>
            <option value="1">traces</option>
            <option value="0">spans</option>
          </select>
        </label>
        <button type="submit" class="strong">
          Follow
        </button>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? "Go on" : "Pause"}
        </button>
      </form>
      {error !== "" && <Problem text={error} />}
      <p class="quiet small" role="status">
        {state}
        {paused && ", paused"} · {count(seen)} {traces ? "traces" : "spans"} since you look{skipped > 0 && `, ${count(skipped)} of them too fast to show`}
      </p>
      <Wide label="What arrived">
        <table>
          <thead>
            <tr>
              <th>Began</th>
              <th>{traces ? "Request" : "Span"}</th>
              <th class="number">Duration</th>
              <th>{traces ? "Errors" : "Status"}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.trace_id} ${row.span_id ?? ""}`}>
                <td class="time">{when(row.start_ns, true)}</td>
                <td>
                  <a href={link("trace", row.trace_id, { span: row.span_id })}>
                    {row.root_service ?? row.service} {row.root_operation ?? row.operation}
                  </a>
                </td>
                <td class="number">{duration(row.duration_ns)}</td>
                <td class={row.status === "error" || (row.errors ?? 0) > 0 ? "errors" : "quiet"}>{traces ? `${row.errors ?? 0} of ${row.spans ?? 0} spans` : row.status}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </>
  );
}

async function* lines(response: Response): AsyncGenerator<Line> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") yield JSON.parse(part) as Line;
  }
}
