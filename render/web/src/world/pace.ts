/** How a request's time goes by when it is played: evenly, so that a call of a millisecond is seen as well as a second of waiting. */

import type { Replay } from "../documents";

/** A stretch between two things that happen takes a time that grows with its length to this power, as in the window. */
const POWER = 0.35;

export class Pace {
  private readonly at: number[];
  private readonly played: number[];

  constructor(replay: Replay) {
    const moments = new Set([0, replay.length_ns]);
    for (const { at_ns, for_ns } of replay.legs) {
      for (const moment of [at_ns, at_ns + for_ns]) if (moment > 0 && moment < replay.length_ns) moments.add(moment);
    }
    this.at = [...moments].sort((a, b) => a - b);
    const played = [0];
    for (let number = 1; number < this.at.length; number++) played.push(played[number - 1]! + (this.at[number]! - this.at[number - 1]!) ** POWER);
    const whole = Math.max(played.at(-1)!, 1e-9);
    this.played = played.map((part) => part / whole);
  }

  /** The moment, ns from the start, when a share of the play is over. */
  moment(share: number): number {
    return between(share, this.played, this.at);
  }

  /** The share of the play that is over at a moment. */
  share(moment: number): number {
    return between(moment, this.at, this.played);
  }
}

function between(value: number, from: number[], to: number[]): number {
  let low = 0;
  let high = from.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle]! <= value) low = middle;
    else high = middle;
  }
  const length = (from[high] ?? 0) - (from[low] ?? 0);
  const part = length > 0 ? Math.min(1, Math.max(0, (value - from[low]!) / length)) : 0;
  return to[low]! + part * (to[high]! - to[low]!);
}
