/** Where one is: everything that a view shows is in the address, behind `#`, which no server and no log sees. */

import { useEffect, useState } from "preact/hooks";
import type { Params } from "./ask";

export interface Place {
  view: string;
  /** What the view is about: a trace id, a service. */
  about: string;
  params: Record<string, string>;
}

export const RANGE = "15m";
/** These go along from view to view. */
const KEPT = ["since", "until", "refresh"];

export function parsed(hash: string): Place {
  const [path = "", search = ""] = split(hash.replace(/^#\/?/, ""), "?");
  const [view = "", about = ""] = split(path, "/");
  return { view: view || "overview", about: decoded(about), params: Object.fromEntries(new URLSearchParams(search)) };
}

function split(text: string, at: string): [string, string] {
  const place = text.indexOf(at);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function address(view: string, about: string, params: Params): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) search.set(name, value);
  const path = `#/${view === "overview" ? "" : view}${about ? `/${encodeURIComponent(about)}` : ""}`;
  return search.size > 0 ? `${path}?${search}` : path;
}

/** A link to a view that keeps the time one looks at. */
export function link(view: string, about = "", params: Params = {}): string {
  const here = parsed(location.hash).params;
  const kept = Object.fromEntries(KEPT.map((name) => [name, here[name]]));
  return address(view, about, { ...kept, ...params });
}

export function go(view: string, about = "", params: Params = {}): void {
  location.hash = link(view, about, params);
}

/** The same view with other parameters; with `replace`, without a step of history. */
export function change(params: Params, replace = false): void {
  const here = parsed(location.hash);
  const next = address(here.view, here.about, { ...here.params, ...params });
  if (replace) {
    history.replaceState(null, "", next);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = next;
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => parsed(location.hash));
  useEffect(() => {
    const moved = () => setPlace(parsed(location.hash));
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}

/** The time of an address, for questions. */
export function windowOf(params: Record<string, string>): { since: string; until?: string } {
  const since = params["since"] ?? RANGE;
  return params["until"] ? { since, until: params["until"] } : { since };
}
