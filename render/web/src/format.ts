/** Numbers and moments as people read them. */

import type { Moment } from "./documents";

/** Three significant digits and a unit, as everywhere in Tracescape: 1.25 ms, 3.4 s, 2 min 5 s. */
export function duration(ns: number | null | undefined): string {
  if (ns === null || ns === undefined) return "–";
  const size = Math.abs(ns);
  if (size < 1e3) return `${ns.toFixed(0)} ns`;
  if (size < 1e6) return `${digits(ns / 1e3)} µs`;
  if (size < 1e9) return `${digits(ns / 1e6)} ms`;
  if (size < 120e9) return `${digits(ns / 1e9)} s`;
  const seconds = Math.round(ns / 1e9);
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function digits(value: number): string {
  return value === 0 ? "0" : Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 });
}

export function count(value: number): string {
  return value.toLocaleString("en");
}

export function plural(value: number, one: string): string {
  return `${count(value)} ${one}${value === 1 ? "" : "s"}`;
}

export function rate(perSecond: number | null | undefined): string {
  return perSecond === null || perSecond === undefined ? "–" : `${digits(perSecond)}/s`;
}

export function share(part: number | null | undefined): string {
  if (part === null || part === undefined) return "–";
  const percent = part * 100;
  if (percent === 0) return "0 %";
  if (percent < 0.01) return "< 0.01 %";
  return `${percent >= 99.995 ? percent.toFixed(0) : Number(percent.toPrecision(3))} %`;
}

export function errorShare(row: { calls: number; errors: number }): string {
  return row.calls === 0 ? "–" : share(row.errors / row.calls);
}

export function ms(moment: Moment): number {
  return Number(BigInt(moment) / 1000n) / 1000;
}

export function momentOf(milliseconds: number): Moment {
  return (BigInt(Math.round(milliseconds * 1000)) * 1000n).toString();
}

const day = new Intl.DateTimeFormat("sv", { dateStyle: "short" });
const clocks = {
  seconds: new Intl.DateTimeFormat("sv", { timeStyle: "medium" }),
  minutes: new Intl.DateTimeFormat("sv", { timeStyle: "short" }),
};

/** Local time, with the date where it is not today's. */
export function when(moment: Moment | number, fine = false): string {
  const at = new Date(typeof moment === "number" ? moment : ms(moment));
  const rest = fine ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : "";
  const time = clocks.seconds.format(at) + rest;
  return day.format(at) === day.format(new Date()) ? time : `${day.format(at)} ${time}`;
}

/** Local time with its date, whatever day it is. */
export function dated(moment: Moment | number): string {
  const at = new Date(typeof moment === "number" ? moment : ms(moment));
  return `${day.format(at)} ${clocks.seconds.format(at)}`;
}

/** What is wrong with a cause, in the beacon's words: "slow calls now: 9 ms → 94 ms". */
export function urgent(reason: string, past: boolean): string {
  const [what = "", ...rest] = reason.split(": ");
  const since = `${what} ${past ? "then" : "now"}`;
  return rest.length === 0 ? since : `${since}: ${rest.join(": ")}`;
}

/** For an axis that spans `range` ms. */
export function tick(at: number, range: number): string {
  const date = new Date(at);
  if (range > 36 * 3600e3) return `${day.format(date).slice(5)} ${clocks.minutes.format(date)}`;
  return range > 600e3 ? clocks.minutes.format(date) : clocks.seconds.format(date);
}

/** A JSON text as a person reads it: a text without its quotes. */
export function plain(json: string): string {
  if (!json.startsWith('"')) return json;
  try {
    return String(JSON.parse(json));
  } catch {
    return json;
  }
}

const DURATIONS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** A duration such as 15m in ms; null for anything else. */
export function parsedDuration(text: string): number | null {
  const found = /^(\d+)([smhd])$/.exec(text);
  return found === null ? null : Number(found[1]) * (DURATIONS[found[2] ?? ""] ?? NaN);
}
