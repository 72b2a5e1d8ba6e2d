/** What is said of a request that is replayed: where it stands, and what each of those whom it touches does. */

import type { Replay, Words } from "../documents";
import { duration } from "../format";

/** The words of a moment: those that were said last. */
export function wordsAt(words: Words, at: number): string {
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle]![0] <= at) low = middle + 1;
    else high = middle;
  }
  return words[low - 1]?.[1] ?? "";
}

/** What happens, and how far it is. */
export function standing(replay: Replay, at: number): string {
  return `${wordsAt(replay.says, at)} · ${duration(at)} of ${duration(replay.length_ns)}`;
}

/** What the request is, and how it ends. */
export function named(replay: Replay): string {
  return `${replay.title} · ${replay.outcome}`;
}

/** What each does for the request; nothing is said of whom it does not touch. */
export class Doing {
  private readonly rows: Map<string, Replay["nodes"][number]>;

  constructor(replay: Replay) {
    this.rows = new Map(replay.nodes.map((node) => [node.service, node]));
  }

  touches(service: string): boolean {
    return this.rows.has(service);
  }

  says(service: string, at: number): string {
    const node = this.rows.get(service);
    if (node === undefined) return "";
    if (node.from_ns === null || node.from_ns > at) return "not reached yet";
    // Before its first words the call is on the wire, after them the answer is there.
    return wordsAt(node.says, at) || ((node.says[0]?.[0] ?? Infinity) > at ? "is called" : "has answered");
  }
}
