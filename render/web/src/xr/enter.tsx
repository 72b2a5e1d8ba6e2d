/** One click into the headset, or a sentence that says what to do. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Stage } from "../world/stage";
import type { Headset } from "./session";

const HELP = "docs/vr.md has the five steps.";

/** Why there is no headset here; null where there is one. */
export async function obstacle(): Promise<string | null> {
  if (!isSecureContext)
    return `Headsets open a world only from localhost or over HTTPS, and ${location.origin} is neither: forward the port (adb reverse tcp:${location.port} tcp:${location.port}) and open ${location.protocol}//localhost:${location.port}, or start the collector with --tls-self-signed. ${HELP}`;
  if (!("xr" in navigator) || navigator.xr === undefined) return `This browser has no WebXR: open this page in the headset's own browser. ${HELP}`;
  const there = await navigator.xr.isSessionSupported("immersive-vr").catch(() => false);
  return there ? null : `No headset is connected to this browser: open this page in the headset's own browser, or connect one. ${HELP}`;
}

export function EnterVr({ stage }: { stage: Stage | null }) {
  const [why, setWhy] = useState<string | null | undefined>(undefined);
  const [told, setTold] = useState<string | null>(null);
  const [worn, setWorn] = useState(false);
  const headset = useRef<Headset | null>(null);
  useEffect(() => {
    const look = () =>
      void obstacle().then((found) => {
        setWhy(found);
        // It is here when it is wanted: a click that waits too long counts no more.
        if (found === null) void import("./session");
      });
    look();
    navigator.xr?.addEventListener?.("devicechange", look);
    return () => {
      navigator.xr?.removeEventListener?.("devicechange", look);
      headset.current?.leave();
    };
  }, []);
  const enter = async () => {
    if (why !== null || stage === null) {
      setTold(why ?? null);
      return;
    }
    setTold(null);
    try {
      const session = await navigator.xr!.requestSession("immersive-vr", { optionalFeatures: ["local-floor", "hand-tracking"] });
      const { begin } = await import("./session");
      setWorn(true);
      headset.current = await begin(stage, session, () => {
        headset.current = null;
        setWorn(false);
      });
    } catch (error) {
      setWorn(false);
      setTold(`The headset did not begin: ${error instanceof Error ? error.message : String(error)}. The page goes on; try again, or see docs/vr.md.`);
    }
  };
  return (
    <>
      <button type="button" class={why === null ? "strong" : undefined} disabled={worn || stage === null || why === undefined} onClick={() => void enter()}>
        {worn ? "In the headset" : "Enter VR"}
      </button>
      {told !== null && (
        <p role="status" class="vr-told">
          {told}
        </p>
      )}
    </>
  );
}
