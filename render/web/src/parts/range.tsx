import { useEffect, useRef, useState } from "preact/hooks";
import { ms, momentOf, parsedDuration, when } from "../format";
import { change, RANGE } from "../route";

const QUICK: [value: string, label: string][] = [
  ["5m", "Last 5 minutes"],
  ["15m", "Last 15 minutes"],
  ["30m", "Last 30 minutes"],
  ["1h", "Last hour"],
  ["3h", "Last 3 hours"],
  ["12h", "Last 12 hours"],
  ["1d", "Last day"],
  ["7d", "Last 7 days"],
  ["all", "Everything stored"],
];
export const REFRESHES = ["off", "5s", "10s", "30s", "1m"];
export const REFRESH = "10s";

/** From when to when, how often anew: both in the address. */
export function Range({ params, onRefresh }: { params: Record<string, string>; onRefresh: () => void }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const since = params["since"] ?? RANGE;
  const until = params["until"];
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (!(event.target instanceof Node && box.current?.contains(event.target))) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    addEventListener("pointerdown", outside);
    addEventListener("keydown", escape);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("keydown", escape);
    };
  }, [open]);
  const choose = (from: string, to?: string) => {
    setOpen(false);
    change({ since: from, until: to, after: undefined, cell: undefined, changes: undefined });
  };
  const [from, to] = bounds(since, until);
  return (
    <div class="range" ref={box}>
      <button type="button" aria-label="Earlier" title="Earlier" disabled={from === null} onClick={() => move(from, to, -0.5, choose)}>
        ‹
      </button>
      <button type="button" ref={button} class="range-shown" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
        {label(since, until)}
      </button>
      <button type="button" aria-label="Later" title="Later" disabled={from === null || until === undefined} onClick={() => move(from, to, 0.5, choose)}>
        ›
      </button>
      <label>
        <span class="unseen">Ask again</span>
        <select value={params["refresh"] ?? REFRESH} disabled={until !== undefined} onChange={(event) => change({ refresh: event.currentTarget.value }, true)} title="How often it is asked again">
          {REFRESHES.map((each) => (
            <option key={each} value={each}>
              {each === "off" ? "off" : `every ${each}`}
            </option>
          ))}
        </select>
      </label>
      <button type="button" onClick={onRefresh} title="Ask again now (r)" aria-label="Ask again now">
        ↻
      </button>
      {open && <Choices since={since} from={from} to={to} choose={choose} />}
    </div>
  );
}

function Choices({ since, from, to, choose }: { since: string; from: number | null; to: number; choose: (from: string, to?: string) => void }) {
  const [begin, setBegin] = useState(() => local(from ?? to - 900e3));
  const [end, setEnd] = useState(() => local(to));
  const wrong = !(Date.parse(begin) < Date.parse(end));
  return (
    <div class="popover" role="dialog" aria-label="Time">
      <div class="quick">
        {QUICK.map(([value, label]) => (
          <button type="button" key={value} class={value === since ? "chosen" : ""} onClick={() => choose(value)}>
            {label}
          </button>
        ))}
      </div>
      <form
        class="absolute"
        onSubmit={(event) => {
          event.preventDefault();
          if (!wrong) choose(momentOf(Date.parse(begin)), momentOf(Date.parse(end)));
        }}
      >
        <label>
          From <input type="datetime-local" step="1" value={begin} onInput={(event) => setBegin(event.currentTarget.value)} />
        </label>
        <label>
          To <input type="datetime-local" step="1" value={end} onInput={(event) => setEnd(event.currentTarget.value)} />
        </label>
        {wrong && <p class="problem">The first has to be before the second.</p>}
        <button type="submit" disabled={wrong}>
          Show this time
        </button>
        <p class="quiet small">Your local time. Dragging over a chart chooses a time, too.</p>
      </form>
    </div>
  );
}

function label(since: string, until: string | undefined): string {
  if (until === undefined) return QUICK.find(([value]) => value === since)?.[1] ?? (isMoment(since) ? `since ${when(since)}` : `Last ${since}`);
  const [from, to] = [since, until].map((each) => (isMoment(each) ? when(each) : each));
  return since === "all" ? `until ${to}` : `${from} – ${to}`;
}

const isMoment = (text: string) => /^\d{16,19}$/.test(text);

/** From when to when, in ms; null where the begin is not known here. */
export function bounds(since: string, until: string | undefined): [number | null, number] {
  const to = until !== undefined && isMoment(until) ? ms(until) : Date.now();
  if (isMoment(since)) return [ms(since), to];
  const back = parsedDuration(since);
  return [back === null ? null : to - back, to];
}

function move(from: number | null, to: number, by: number, choose: (from: string, to: string) => void) {
  if (from === null) return;
  const step = (to - from) * by;
  choose(momentOf(from + step), momentOf(to + step));
}

function local(at: number): string {
  const date = new Date(at - new Date(at).getTimezoneOffset() * 60e3);
  return date.toISOString().slice(0, 19);
}
