/** A request that is replayed while somebody has a headset on: where it is, and whether it plays. */

import { ask, AskError } from "../ask";
import type { Replay } from "../documents";
import { change } from "../route";
import { Pace } from "../world/pace";
import { clamp } from "./rig";

/** However long a request took, it is replayed in so long, as on the page. */
const PLAY_MS = 9000;
/** The world is painted anew no more often than that. */
const STEP_MS = 33;

export class Ride {
  replay: Replay | null = null;
  at = 0;
  playing = false;
  problem: string | null = null;
  id: string | null = null;
  pace: Pace | null = null;
  private waited = 0;
  private asking: AbortController | null = null;

  constructor(private readonly changed: (begun: boolean) => void) {}

  /** Another request, or none; it begins at a share of its time, or plays from its start. */
  follow(id: string | null, share: string | undefined, play: boolean): void {
    if (id === this.id) return;
    this.asking?.abort();
    [this.id, this.replay, this.pace, this.playing, this.problem] = [id, null, null, false, null];
    this.changed(false);
    if (id === null) return;
    const asking = (this.asking = new AbortController());
    ask<Replay>("replay", { id }, asking.signal).then(
      (replay) => {
        [this.replay, this.pace] = [replay, new Pace(replay)];
        const given = Number.parseFloat(share ?? "");
        this.at = play ? 0 : Number.isFinite(given) ? clamp(given, 0, 1) * replay.length_ns : replay.telling_ns;
        this.playing = play;
        this.changed(true);
      },
      (error: unknown) => {
        if (asking.signal.aborted) return;
        this.problem = error instanceof AskError ? error.message : String(error);
        this.changed(false);
      },
    );
  }

  /** A frame later; whether it is somewhere else now. */
  step(ms: number): boolean {
    const { replay, pace } = this;
    if (replay === null || pace === null || !this.playing) return false;
    this.waited += ms;
    if (this.waited < STEP_MS) return false;
    const played = Math.min(1, pace.share(this.at) + this.waited / PLAY_MS);
    this.waited = 0;
    this.at = played === 1 ? replay.length_ns : pace.moment(played);
    if (played === 1) this.rest();
    return true;
  }

  toggle(): void {
    if (this.replay === null) return;
    if (this.playing) this.rest();
    else {
      if (this.at >= this.replay.length_ns) this.at = 0;
      this.playing = true;
    }
    this.changed(false);
  }

  /** To a share of the play. */
  seek(share: number): void {
    if (this.pace === null) return;
    this.at = this.pace.moment(share);
    this.playing = false;
    this.changed(false);
  }

  /** Stays here, and the address says so. */
  rest(): void {
    this.playing = false;
    if (this.replay !== null) change({ share: (this.at / Math.max(1, this.replay.length_ns)).toFixed(3) }, true);
  }

  dispose(): void {
    this.asking?.abort();
  }
}
