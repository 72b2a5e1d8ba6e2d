import { render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { key, setKey, type AskError } from "./ask";
import { parsedDuration } from "./format";
import { Beat, Told } from "./hooks";
import { Range, REFRESH } from "./parts/range";
import { Problem } from "./parts/basics";
import { go, link, usePlace, type Place } from "./route";
import { Compare } from "./views/compare";
import { Live } from "./views/live";
import { Overview } from "./views/overview";
import { Search } from "./views/search";
import { Service } from "./views/service";
import { Topology } from "./views/topology";
import { Trace } from "./views/trace";
import { World } from "./views/world";
import "./style.css";

/** A view by the first part of its address. One more is one more line. */
const VIEWS: Record<string, (place: Place) => preact.ComponentChildren> = {
  overview: ({ params }) => <Overview params={params} />,
  search: ({ params }) => <Search params={params} />,
  compare: ({ params }) => <Compare params={params} />,
  trace: ({ about, params }) => <Trace key={about} id={about} params={params} />,
  service: ({ about, params }) => <Service key={about} name={about} params={params} />,
  topology: ({ params }) => <Topology params={params} />,
  world: ({ params }) => <World params={params} />,
  live: ({ params }) => <Live params={params} />,
};

const MENU: [view: string, label: string][] = [
  ["overview", "Overview"],
  ["search", "Search"],
  ["topology", "Map"],
  ["world", "World"],
  ["live", "Live"],
];
const KEYS: [key: string, what: string][] = [
  ["/", "search, or filter"],
  ["o", "overview"],
  ["s", "search"],
  ["m", "map"],
  ["w", "world"],
  ["l", "live"],
  ["n, f", "in the world: to the worst, everything"],
  ["w a s d, q e", "in the world, when it has the focus: fly"],
  ["r", "ask again now"],
  ["t", "other colours: dark, light, colour-blind"],
  ["j, k or ↓, ↑", "next and last span of a trace"],
  ["?", "these keys"],
  ["Esc", "close"],
];
const THEMES = ["dark", "light", "colour-blind"] as const;
type Theme = (typeof THEMES)[number];
const THEME = "tracescape-theme";

function Page() {
  const place = usePlace();
  const [beat, setBeat] = useState(0);
  const [lost, setLost] = useState<string | null>(null);
  const [locked, setLocked] = useState<string | null>(null);
  const [help, setHelp] = useState(false);
  // With another key everything is asked anew.
  const [entered, setEntered] = useState(0);
  const again = useCallback(() => setBeat((last) => last + 1), []);
  const told = useCallback((error: AskError | null) => {
    setLost(error?.status === 0 ? error.message : null);
    if (error?.status === 401) setLocked(key() === null ? "" : error.message);
  }, []);
  useBeat(place, again, lost !== null);
  const theme = useTheme();
  useKeys({ again, theme: theme.next, help: () => setHelp(true) });
  const view = VIEWS[place.view];
  const main = useRef<HTMLElement>(null);
  const title = [place.about.slice(0, 60), MENU.find(([name]) => name === place.view)?.[1] ?? place.view].filter(Boolean).join(" · ");
  useEffect(() => {
    document.title = `${title} · Tracescape`;
  }, [title]);
  return (
    <Told.Provider value={told}>
      <Beat.Provider value={beat}>
        <header>
          <button type="button" class="skip" onClick={() => main.current?.focus()}>
            To the content
          </button>
          <a class="brand" href={link("overview")}>
            Tracescape
          </a>
          <nav aria-label="Views">
            {MENU.map(([name, label]) => (
              <a key={name} href={link(name)} aria-current={place.view === name ? "page" : undefined}>
                {label}
              </a>
            ))}
          </nav>
          {place.view !== "live" && place.view !== "trace" && <Range params={place.params} onRefresh={again} />}
          <span class="tools">
            <button type="button" onClick={theme.next} title="Other colours (t)" aria-label={`Colours: ${theme.name}`}>
              ◐
            </button>
            <button type="button" onClick={() => setHelp(true)} title="Keys (?)" aria-label="Keys">
              ?
            </button>
          </span>
        </header>
        {lost !== null && <Problem text={`${lost} Trying again.`} />}
        <main key={entered} ref={main} tabIndex={-1}>
          {view === undefined ? (
            <>
              <h1>There is no such page</h1>
              <p>
                Nothing is called {place.view} here. <a href={link("overview")}>To the overview</a>
              </p>
            </>
          ) : (
            view(place)
          )}
        </main>
        {locked !== null && (
          <KeyDialog
            wrong={locked}
            done={() => {
              setLocked(null);
              setEntered((last) => last + 1);
            }}
          />
        )}
        {help && <Help close={() => setHelp(false)} />}
      </Beat.Provider>
    </Told.Provider>
  );
}

/** Asks again as often as the address says, as long as somebody looks; a lost collector is tried again anyway. */
function useBeat(place: Place, again: () => void, lost: boolean) {
  const chosen = place.params["until"] ? "off" : (place.params["refresh"] ?? REFRESH);
  const every = parsedDuration(chosen) ?? (lost ? 5000 : null);
  useEffect(() => {
    if (every === null) return;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") again();
    }, Math.max(every, 1000));
    return () => clearInterval(timer);
  }, [every, again]);
}

function useTheme(): { name: Theme; next: () => void } {
  const [name, setName] = useState<Theme>(() => {
    const kept = THEMES.find((each) => each === localStorage.getItem(THEME));
    return kept ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  });
  useEffect(() => {
    document.documentElement.dataset["theme"] = name;
  }, [name]);
  const next = useCallback(() => {
    setName((last) => {
      const other = THEMES[(THEMES.indexOf(last) + 1) % THEMES.length] ?? "dark";
      localStorage.setItem(THEME, other);
      return other;
    });
  }, []);
  return { name, next };
}

function useKeys(does: { again: () => void; theme: () => void; help: () => void }) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const at = event.target;
      const writes = at instanceof HTMLElement && (at.isContentEditable || /^(input|select|textarea)$/i.test(at.tagName));
      if (writes || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const actions: Record<string, () => void> = {
        "/": search,
        o: () => go("overview"),
        s: () => go("search"),
        m: () => go("topology"),
        w: () => go("world"),
        l: () => go("live"),
        r: does.again,
        t: does.theme,
        "?": does.help,
      };
      const action = actions[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

function search() {
  const there = () => document.querySelector<HTMLInputElement>("input#where");
  if (there() === null) go("search");
  // The view stands a moment later.
  const focus = (tries: number) => {
    const input = there();
    if (input !== null) input.select();
    else if (tries > 0) requestAnimationFrame(() => focus(tries - 1));
  };
  focus(60);
}

function KeyDialog({ wrong, done }: { wrong: string; done: () => void }) {
  const dialog = useModal();
  const [value, setValue] = useState("");
  return (
    <dialog ref={dialog} aria-labelledby="key-title" onCancel={(event) => event.preventDefault()}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setKey(value.trim());
          done();
        }}
      >
        <h2 id="key-title">This collector wants an API key</h2>
        {wrong !== "" && <Problem text={`That was refused: ${wrong}.`} />}
        <label>
          API key
          <input type="password" value={value} onInput={(event) => setValue(event.currentTarget.value)} autocomplete="off" required autoFocus />
        </label>
        <p class="quiet small">It stays in this tab until that is closed, and in no address.</p>
        <button type="submit" class="strong">
          Enter
        </button>
      </form>
    </dialog>
  );
}

function Help({ close }: { close: () => void }) {
  const dialog = useModal();
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([name, what]) => (
          <div key={name}>
            <dt>
              <kbd>{name}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet small">Every address shows the same again: copy it to a colleague. A time such as “Last 15 minutes” moves on; choose one that begins and ends to keep it.</p>
      <button type="button" class="strong" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

function useModal() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (dialog.current?.open === false) dialog.current.showModal();
  }, []);
  return dialog;
}

const place = document.getElementById("page");
if (place !== null) {
  place.replaceChildren();
  render(<Page />, place);
}
