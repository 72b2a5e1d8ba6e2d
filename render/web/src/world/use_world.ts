import { useContext, useEffect, useRef, useState } from "preact/hooks";
import { ask, type AskError } from "../ask";
import { Beat, failure, Told } from "../hooks";
import { read, type World } from "./tables";

/** A moment that one rests at for so long is asked what broke then. */
const RESTED_MS = 700;

/**
 * The world of a time, followed: what is there already is sent along, and only what changed comes back.
 *
 * A time that ends is first shown as it was; then it is asked, which takes longer, what broke. `news` asks again.
 */
export function useWorld(time: { since: string; until?: string }, news: string): { world: World | null; error: AskError | null } {
  const beat = useContext(Beat);
  const told = useContext(Told);
  const [world, setWorld] = useState<World | null>(null);
  const [error, setError] = useState<AskError | null>(null);
  const held = useRef<World | null>(null);
  const past = time.until !== undefined;
  const running = useRef<{ time: string; stop: AbortController } | null>(null);
  const shown = `${time.since} ${time.until ?? ""} ${news}`;
  useEffect(() => () => running.current?.stop.abort(), []);
  useEffect(() => {
    if (running.current?.time === shown) return; // a slow answer is waited for
    running.current?.stop.abort();
    const own = { time: shown, stop: new AbortController() };
    running.current = own;
    const once = async (causes?: string) => {
      const known = held.current;
      const params = { ...time, causes, known: known?.version };
      held.current = await ask("world", params, own.stop.signal, async (response) => read(await response.arrayBuffer(), known));
      setWorld(held.current);
      setError(null);
      told(null);
    };
    const all = async () => {
      try {
        await once();
        if (past) {
          await new Promise((rested) => setTimeout(rested, RESTED_MS));
          if (!own.stop.signal.aborted) await once("1");
        }
      } catch (problem) {
        if (own.stop.signal.aborted) return;
        const told_ = failure(problem);
        setError(told_);
        told(told_);
      }
      if (running.current === own) running.current = null;
    };
    void all();
  }, [shown, past ? 0 : beat]);
  return { world, error };
}
