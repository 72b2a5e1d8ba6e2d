import { useEffect, useRef, useState } from "preact/hooks";
import type { About, Causes, Replay, Step } from "../documents";
import { count, duration, ms, plural, urgent, when } from "../format";
import { useAsk } from "../hooks";
import { Problem, Waiting } from "../parts/basics";
import { Nothing } from "../parts/nothing";
import { Tip, type Hovered } from "../parts/tips";
import { change, link, windowOf } from "../route";
import { HEALTHY, IDLE, STATES } from "../world/codes";
import { graphics } from "../world/graphics";
import { Pace } from "../world/pace";
import type { Stage } from "../world/stage";
import type { World as Told } from "../world/tables";
import { named, standing } from "../world/telling";
import { useWorld } from "../world/use_world";
import { Connection } from "./connection";
import { EnterVr } from "../xr/enter";
import { Service } from "./service";
import { Topology } from "./topology";

/** A request may touch so many that an address cannot have them all. */
const MOST_KEPT = 150;
const MOST_HALVES = 3;
const NO_WEBGL = "This browser draws no WebGL2, so here is the flat map.";
const LOST = "The graphics of this browser were lost. They come back by themselves, or when the page is loaded again; here is the flat map.";

/** The same as the map, to walk in. */
export function World({ params }: { params: Record<string, string> }) {
  const time = windowOf(params);
  const causes = useAsk<Causes>("causes", time.until === undefined ? time : null);
  const service = params["service"] ?? null;
  const to = service === null ? null : (params["to"] ?? null);
  const [open, setOpen] = useState<string[]>(() => listed(params["open"]));
  const [less, setLess] = useState(0);
  const [ridden, setRidden] = useState<string[]>([]);
  const [request, setRequest] = useState<string | null>(null);
  const chosen = [service, to].filter((name) => name !== null);
  const sight = { renderer: graphics() ?? "", less, open, keep: [...new Set([...chosen, ...ridden])].slice(0, MOST_KEPT) };
  const { world, error } = useWorld(time, causes.data?.causes.map((each) => each.sentence).join(" ") ?? "", sight);
  const [trouble, setTrouble] = useState<string | null>(null);
  const [hovered, setHovered] = useState<Hovered | null>(null);
  const host = useRef<HTMLDivElement>(null);
  const overlay = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage | null>(null);
  const [ready, setReady] = useState(false);
  // Whoever listens must not hear of yesterday's.
  const latest = useRef({ world, service });
  latest.current = { world, service };

  useEffect(() => {
    let left = false;
    void import("../world/stage").then(
      ({ canDraw, Stage }) => {
        if (left || host.current === null || overlay.current === null) return;
        if (!canDraw()) {
          setTrouble(NO_WEBGL);
          return;
        }
        try {
          stage.current = new Stage(host.current, overlay.current, {
            hover: (body, x, y, arc) => setHovered(body === null && arc === null ? null : { body, arc, x, y }),
            pick: (body, arc) => {
              const { world } = latest.current;
              const ends = arc === null || world === null ? null : endsOf(world, arc);
              change(ends === null ? { service: body === null ? undefined : world?.services[body], to: undefined } : { service: ends[0], to: ends[1] });
            },
            opened: (keys, chosen) => {
              setOpen(keys);
              change({ open: chosen.length > 0 ? JSON.stringify(chosen) : undefined }, true);
            },
            slow: () => setLess((last) => Math.min(last + 1, MOST_HALVES)),
            moved: (view) => {
              kept.current = view;
              change({ view }, true);
            },
            lost: (gone) => setTrouble(gone ? LOST : null),
          });
        } catch {
          setTrouble(NO_WEBGL);
          return;
        }
        // For whoever looks at the page from outside: tests, and the console.
        Object.assign(host.current, { stage: stage.current });
        if (document.activeElement === document.body) host.current.focus({ preventScroll: true });
        setReady(true);
      },
      () => setTrouble("The world could not be loaded. Load the page again."),
    );
    return () => {
      left = true;
      stage.current?.dispose();
      stage.current = null;
    };
  }, []);
  // The address says where one stands; that oneself has gone there is no news.
  const kept = useRef<string | undefined>(undefined);
  useEffect(() => {
    if (!ready || world === null) return;
    const first = stage.current?.world === null;
    stage.current?.show(world);
    if (params["view"] !== kept.current) {
      kept.current = params["view"];
      stage.current?.look(params["view"]);
    }
    if (first) stage.current?.open(listed(params["open"]));
  }, [ready, world, params["view"]]);
  useEffect(() => {
    stage.current?.select(to === null ? service : null);
    stage.current?.selectWay(service === null || to === null ? null : [service, to]);
  }, [ready, service, to]);
  // What was pointed at is elsewhere then, or told otherwise.
  useEffect(() => setHovered(null), [service, to, params["trace"]]);
  useEffect(() => {
    const watch = new MutationObserver(() => stage.current?.paint());
    watch.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => watch.disconnect();
  }, []);

  const worst = () => {
    const { world } = latest.current;
    const body = world?.about.worst;
    const name = body == null ? undefined : world?.services[body];
    if (name === undefined || stage.current === null) return;
    stage.current.flyTo(name);
    change({ service: name, to: undefined });
  };
  const everything = () => stage.current?.flyOut();
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const at = event.target;
      const writes = at instanceof HTMLElement && /^(input|select|textarea)$/i.test(at.tagName);
      if (writes || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (event.key === "n") worst();
      else if (event.key === "f") everything();
      else if (event.key === "Escape" && latest.current.service !== null) change({ service: undefined, to: undefined });
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);

  const past = world?.about.past === true;
  const empty = world !== null && world.about.spans === 0;
  return (
    <>
      <div class="world-head">
        <h1>World</h1>
        <p class="told" role="status">
          {request ?? world?.about.headline}
        </p>
        <form
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            const name = found(world, new FormData(event.currentTarget).get("name"));
            if (name === null) return;
            stage.current?.flyTo(name);
            change({ service: name, to: undefined });
          }}
        >
          <input name="name" list="bodies" aria-label="Fly to" placeholder="Fly to …" autocomplete="off" />
          <datalist id="bodies">
            {world?.everybody.slice(0, 2000).map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          <button type="button" onClick={worst} title="n">
            Worst
          </button>
          <button type="button" onClick={everything} title="f">
            Everything
          </button>
        </form>
        <EnterVr stage={ready ? stage.current : null} />
      </div>
      {error !== null && error.status !== 0 && <Problem text={error.message} />}
      {trouble !== null && <Problem text={trouble} />}
      {empty && <Nothing params={params} />}
      <div class={`world${service === null ? "" : " with-panel"}`} hidden={trouble !== null || empty}>
        <div class={`stage${past ? " past" : ""}`}>
          <div ref={host} class="sight" role="application" tabIndex={0} aria-label="The world. Drag to turn, scroll to come nearer, click a body. W A S D fly, n goes to the worst, f shows everything; the map has the same as tables." />
          <div ref={overlay} class="names" aria-hidden="true" />
          {past && <p class="past-mark">The past · {`${when(world.about.since_ns)} – ${when(world.about.until_ns)}`}</p>}
          {hovered !== null && world !== null && <Tip world={world} hovered={hovered} stage={stage.current} />}
          {(world === null || !ready) && error === null && trouble === null && <Waiting text="Building the world" />}
        </div>
        {service !== null && (
          <aside aria-label={`About ${chosen.join(" → ")}`}>
            <p class="actions">
              {to === null && (
                <a class="button" href={link("service", service)}>
                  Its page
                </a>
              )}
              <button type="button" onClick={() => change({ service: undefined, to: undefined })}>
                Close
              </button>
            </p>
            {to === null && world !== null && <Culprit world={world} service={service} />}
            {to === null ? <Service key={service} name={service} params={params} /> : <Connection from={service} to={to} params={params} />}
          </aside>
        )}
      </div>
      {world !== null && !empty && (
        <>
          {params["trace"] === undefined ? <TimeTravel params={params} /> : <Ride key={params["trace"]} id={params["trace"]} params={params} stage={ready ? stage.current : null} world={world} onTouched={setRidden} onNamed={setRequest} />}
          <p class="quiet small">
            {world.about.caption} · {count(world.table("bodies").rows)} bodies, {plural(world.table("arcs").rows, "connection")} · the same <a href={link("topology")}>as a map and tables</a>
          </p>
        </>
      )}
      {trouble !== null && <Topology params={params} />}
    </>
  );
}

/** What is wrong with a cause now, which its state of the whole time may not show. */
function Culprit({ world, service }: { world: Told; service: string }) {
  const { cause, past, seconds } = world.about;
  if (cause === null || world.services[cause.body] !== service) return null;
  const state = world.table("bodies").numbers("state")[cause.body];
  return (
    <p class="culprit">
      <b>Likely cause</b> · {urgent(cause.reason, past)}
      {(state === HEALTHY || state === IDLE) && (
        <span class="quiet">
          {" "}
          · {STATES[state]} only over all of {duration(seconds * 1e9)}
        </span>
      )}
    </p>
  );
}

function found(world: Told | null, wanted: unknown): string | null {
  if (world === null || typeof wanted !== "string" || wanted.trim() === "") return null;
  const text = wanted.trim().toLowerCase();
  const names = world.everybody;
  return names.find((name) => name.toLowerCase() === text) ?? names.find((name) => name.toLowerCase().startsWith(text)) ?? names.find((name) => name.toLowerCase().includes(text)) ?? null;
}

/** Who is at the ends of a connection; null where that is a group. */
function endsOf(world: Told, arc: number): [string, string] | null {
  const table = world.table("arcs");
  const ends = ["source", "target"].map((end) => table.numbers(end)[arc] ?? 0);
  const [from, to] = ends.map((body) => (world.groupOf(body) === null ? world.services[body] : undefined));
  return from === undefined || to === undefined ? null : [from, to];
}

/** A list of names in an address; what is none is empty. */
function listed(text: string | undefined): string[] {
  try {
    const found: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}

/** However long a request took, it is replayed in so long. */
const RIDE_MS = 9000;

/** A request, replayed through the world; how far it is, is in the address. */
function Ride({ id, params, stage, world, onTouched, onNamed }: { id: string; params: Record<string, string>; stage: Stage | null; world: Told; onTouched: (services: string[]) => void; onNamed: (request: string | null) => void }) {
  const found = useAsk<Replay>("replay", { id }, false);
  const replay = found.data;
  const given = Number.parseFloat(params["share"] ?? "");
  // Where one has gone since the address said where one is.
  const [gone, setGone] = useState<{ from: string | undefined; share: number } | null>(null);
  const setShare = (to: number) => setGone({ from: params["share"], share: to });
  const share = gone?.from === params["share"] && gone !== null ? gone.share : Number.isFinite(given) ? Math.min(1, Math.max(0, given)) : null;
  const [playing, setPlaying] = useState(false);
  const at = replay === undefined ? 0 : (share ?? replay.telling_ns / Math.max(1, replay.length_ns)) * replay.length_ns;
  useEffect(() => {
    if (replay !== undefined) stage?.ride(replay, at);
  }, [stage, replay, at, world]);
  useEffect(() => () => stage?.ride(null, 0), [stage]);
  // Whom it touches is drawn, wherever they stand.
  useEffect(() => onTouched(replay?.nodes.map((node) => node.service) ?? []), [replay]);
  useEffect(() => onNamed(replay === undefined ? null : named(replay)), [replay]);
  useEffect(
    () => () => {
      onTouched([]);
      onNamed(null);
    },
    [],
  );
  useEffect(() => {
    if (!playing || replay === undefined) return;
    const pace = new Pace(replay);
    const length = Math.max(1, replay.length_ns);
    let played = pace.share(at);
    let last = performance.now();
    let next = requestAnimationFrame(function step(now: number) {
      played = Math.min(1, played + Math.max(0, now - last) / RIDE_MS);
      setShare(played === 1 ? 1 : pace.moment(played) / length);
      last = now;
      next = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(next);
  }, [playing]);
  const rest = (to: number) => change({ share: to.toFixed(3) }, true);
  useEffect(() => {
    if (!playing || share !== 1) return;
    setPlaying(false);
    rest(1);
  }, [playing, share]);
  if (found.error !== undefined) return <Problem text={found.error.message} />;
  if (replay === undefined) return <Waiting text="Reading the request" />;
  const absent = replay.nodes.filter(({ service }) => !world.everybody.includes(service)).length;
  return (
    <div class="travel" role="group" aria-label="The request">
      <p class="standing">{standing(replay, at)}</p>
      <button
        type="button"
        onClick={() => {
          if (playing) rest(share ?? 0);
          else if (share === 1) setShare(0);
          setPlaying(!playing);
        }}
      >
        {playing ? "Pause" : "Play"}
      </button>
      <div class="travel-line">
        <input
          type="range"
          min="0"
          max="1"
          step="0.001"
          value={at / Math.max(1, replay.length_ns)}
          aria-label="How far the request is"
          aria-valuetext={standing(replay, at)}
          onInput={(event) => setShare(Number(event.currentTarget.value))}
          onChange={(event) => rest(Number(event.currentTarget.value))}
        />
      </div>
      {absent > 0 && <span class="quiet small">{plural(absent, "node")} of it not in this world</span>}
      <a class="button" href={link("trace", id)}>
        Its spans
      </a>
      <button type="button" onClick={() => change({ trace: undefined, share: undefined })}>
        Leave it
      </button>
    </div>
  );
}

const MINUTE = 60_000;
/** What a moment looks back on, as `Store.at`. */
const WIDTH = 5 * MINUTE;

/** All that is stored as one line to drag along; what it shows is in the address. */
function TimeTravel({ params }: { params: Record<string, string> }) {
  const about = useAsk<About>("about", {}).data;
  const line = useAsk<{ steps: Step[] }>("timeline", {}, false).data;
  const due = useRef(0);
  const [dragged, setDragged] = useState<number | null>(null);
  const until = params["until"];
  useEffect(() => setDragged(null), [until]);
  if (about?.first_ns == null || about.last_ns == null) return null;
  const first = Math.floor(ms(about.first_ns) / MINUTE) * MINUTE;
  const last = Math.ceil((ms(about.last_ns) + 1) / MINUTE) * MINUTE;
  const now = until === undefined;
  const moment = dragged ?? (now || !/^\d+$/.test(until) ? last : ms(until));
  const travel = (to: number) => {
    setDragged(to);
    clearTimeout(due.current);
    due.current = window.setTimeout(() => {
      const since = params["since"] ?? "";
      const width = until !== undefined && /^\d+$/.test(since) && /^\d+$/.test(until) ? Math.min(ms(until) - ms(since), 60 * MINUTE) : Math.min(WIDTH, Math.max(MINUTE, (last - first) / 10));
      change({ since: nanoseconds(to - width), until: nanoseconds(to) }, true);
    }, 150);
  };
  return (
    <div class="travel">
      <div class="travel-line">
        {line !== undefined && <Spark steps={line.steps} first={first} last={last} />}
        <input
          type="range"
          min={first + MINUTE}
          max={Math.max(last, first + MINUTE)}
          step={MINUTE}
          value={moment}
          aria-label="Moment"
          aria-valuetext={now && dragged === null ? "now" : when(nanoseconds(moment))}
          onInput={(event) => travel(Number(event.currentTarget.value))}
        />
      </div>
      <span class="quiet small">{now && dragged === null ? "what is newest" : `as of ${when(nanoseconds(moment))}`}</span>
      <button type="button" disabled={now} onClick={() => change({ since: undefined, until: undefined })}>
        Now
      </button>
    </div>
  );
}

const nanoseconds = (milliseconds: number) => (BigInt(Math.round(milliseconds)) * 1_000_000n).toString();

/** Rates, with errors below them, over all that is stored. */
function Spark({ steps, first, last }: { steps: Step[]; first: number; last: number }) {
  const most = Math.max(1e-9, ...steps.map((step) => step.rate_per_s ?? 0));
  const bars = (of: (step: Step) => number) =>
    steps.map((step) => {
      const from = ((ms(step.start_ns) - first) / (last - first)) * 1000;
      const to = step.end_ns === undefined ? from + 1000 / steps.length : ((ms(step.end_ns) - first) / (last - first)) * 1000;
      return `M${from.toFixed(1)} 24V${(24 - (22 * of(step)) / most).toFixed(1)}H${to.toFixed(1)}V24Z`;
    });
  return (
    <svg viewBox="0 0 1000 24" preserveAspectRatio="none" aria-hidden="true">
      <path class="rates" d={bars((step) => step.rate_per_s ?? 0).join("")} />
      <path class="failed" d={bars((step) => (step.rate_per_s ?? 0) * (step.error_rate ?? 0)).join("")} />
    </svg>
  );
}
