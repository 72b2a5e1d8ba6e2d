/** Questions as hooks, the width of things, and the beat at which what is shown is asked for again. */

import { createContext } from "preact";
import { useContext, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { ask, AskError, query, type Params } from "./ask";

/** Counts up whenever it is time to ask again. */
export const Beat = createContext(0);
/** Who is told of answers and errors: the page's one line about the connection, and the dialog for the key. */
export const Told = createContext<(error: AskError | null) => void>(() => undefined);

export interface Answer<T> {
  data: T | undefined;
  error: AskError | undefined;
  loading: boolean;
}

/** The answer to a question; null asks nothing. While it is asked for again, the last answer stays. */
export function useAsk<T>(question: string, params: Params | null, beats = true): Answer<T> {
  const beat = useContext(Beat);
  const told = useContext(Told);
  const asked = params === null ? null : `${question}?${query(params)}`;
  const [answer, setAnswer] = useState<Answer<T> & { asked: string | null }>({
    asked,
    data: undefined,
    error: undefined,
    loading: asked !== null,
  });
  const running = useRef<{ asked: string; stop: AbortController } | null>(null);

  useEffect(() => () => running.current?.stop.abort(), []);
  useEffect(() => {
    if (running.current?.asked === asked) return; // a slow answer is waited for, not asked for twice
    running.current?.stop.abort();
    running.current = null;
    if (asked === null || params === null) return;
    const stop = new AbortController();
    const own = { asked, stop };
    running.current = own;
    const end = (result: Partial<Answer<T>>) => {
      if (running.current === own) running.current = null;
      setAnswer((last) => ({
        asked,
        data: result.data ?? (last.asked === asked ? last.data : undefined),
        error: result.error,
        loading: false,
      }));
      told(result.error ?? null);
    };
    setAnswer((last) => (last.asked === asked ? { ...last, loading: true } : { asked, data: undefined, error: undefined, loading: true }));
    ask<T>(question, params, stop.signal).then(
      (data) => end({ data }),
      (error: unknown) => {
        if (stop.signal.aborted) return;
        end({ error: failure(error) });
      },
    );
  }, [asked, beats ? beat : 0]);

  // What was asked before is no answer to this.
  return answer.asked === asked ? answer : { data: undefined, error: undefined, loading: asked !== null };
}

/** Whatever is thrown, as what went wrong with a question. */
export const failure = (error: unknown) => (error instanceof AskError ? error : new AskError(String(error), -1));

/** The width of an element, as it changes. */
export function useWidth(of: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current;
    if (element === null) return;
    const measured = () => setWidth(element.clientWidth);
    measured();
    const observer = new ResizeObserver(measured);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
