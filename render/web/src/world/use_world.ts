import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { ask, type AskError, type Params } from "../ask";
import { Beat, failure, Told } from "../hooks";
import { read, type World } from "./tables";

/** A moment that one rests at for so long is asked what broke then. */
const RESTED_MS = 700;

/** Who draws, and what of a large world is to be drawn service by service. */
export interface Sight {
  renderer: string;
  /** How often as much as that can carry is halved. */
  less: number;
  /** Groups that are to be open. */
  open: readonly string[];
  /** Services that are drawn themselves, wherever they stand. */
  keep: readonly string[];
}

const asParams = ({ renderer, less, open, keep }: Sight): Params => ({
  renderer: renderer || "hidden",
  less: less > 0 ? `${less}` : undefined,
  open: open.length > 0 ? JSON.stringify(open) : undefined,
  keep: keep.length > 0 ? JSON.stringify(keep) : undefined,
});

/**
 * The world of a time, followed: what is there already is sent along, and only what changed comes back.
 *
 * A time that ends is first shown as it was; then it is asked, which takes longer, what broke. `news` asks again.
 * Where only the `sight` changed, the same moment is asked for once more, which is quick.
 */
export function useWorld(time: { since: string; until?: string }, news: string, sight: Sight): { world: World | null; error: AskError | null } {
  const beat = useContext(Beat);
  const told = useContext(Told);
  const [world, setWorld] = useState<World | null>(null);
  const [error, setError] = useState<AskError | null>(null);
  const held = useRef<World | null>(null);
  const past = time.until !== undefined;
  const running = useRef<{ time: string; stop: AbortController } | null>(null);
  const nearing = useRef<AbortController | null>(null);
  const seen = useRef({ wanted: sight, shown: "", causes: undefined as string | undefined, moment: 0 });
  seen.current.wanted = sight;
  const shown = `${time.since} ${time.until ?? ""} ${news}`;
  const wanted = JSON.stringify(sight);
  const once = async (stop: AbortController, more: Params) => {
    const known = held.current;
    const own = seen.current.wanted;
    const params = { ...time, ...more, known: known?.version, ...asParams(own) };
    const { moment } = seen.current;
    const found = await ask("world", params, stop.signal, async (response) => read(await response.arrayBuffer(), known));
    // An older moment from nearer is no news.
    if (more["still"] !== undefined && seen.current.moment !== moment) return;
    if (more["still"] === undefined) seen.current.moment += 1;
    held.current = found;
    seen.current.shown = JSON.stringify(own);
    seen.current.causes = more["causes"];
    setWorld(held.current);
    setError(null);
    told(null);
  };
  const failed = (stop: AbortController, problem: unknown) => {
    if (stop.signal.aborted) return;
    const found = failure(problem);
    setError(found);
    told(found);
  };
  /** One after the other, for a camera that moves does not wait. */
  const nearer = async () => {
    if (nearing.current !== null || held.current === null) return;
    const stop = (nearing.current = new AbortController());
    try {
      while (JSON.stringify(seen.current.wanted) !== seen.current.shown) await once(stop, { still: "1", causes: seen.current.causes });
    } catch (problem) {
      failed(stop, problem);
    }
    if (nearing.current === stop) nearing.current = null;
  };
  useEffect(
    () => () => {
      running.current?.stop.abort();
      nearing.current?.abort();
    },
    [],
  );
  useEffect(() => {
    if (running.current?.time === shown) return; // a slow answer is waited for
    running.current?.stop.abort();
    nearing.current?.abort();
    nearing.current = null;
    const own = { time: shown, stop: new AbortController() };
    running.current = own;
    const all = async () => {
      try {
        await once(own.stop, {});
        if (past) {
          await new Promise((rested) => setTimeout(rested, RESTED_MS));
          if (!own.stop.signal.aborted) await once(own.stop, { causes: "1" });
        }
      } catch (problem) {
        failed(own.stop, problem);
      }
      if (running.current !== own) return;
      running.current = null;
      void nearer();
    };
    void all();
  }, [shown, past ? 0 : beat]);
  useEffect(() => void nearer(), [wanted]);
  return { world, error };
}
