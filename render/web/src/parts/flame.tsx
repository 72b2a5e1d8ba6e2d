import { useRef, useState } from "preact/hooks";
import type { Flame as Frames, Frame } from "../documents";
import { count, duration, plural, share } from "../format";
import { useWidth } from "../hooks";
import { TraceLink } from "./basics";

const ROW = 22;
const NARROWEST = 2;

/** What requests waited for, by call path: a frame is as wide as the time of it and of all it called. */
export function Flame({ of }: { of: Frames }) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const [root, setRoot] = useState<number | null>(null);
  const [told, setTold] = useState<Frame | null>(null);
  if (of.frames.length === 0) return <p class="quiet">No requests that begin here.</p>;
  const boxes = placed(of.frames, root, width);
  const rows = 1 + Math.max(0, ...boxes.map((each) => each.row));
  const shown = told ?? of.frames.find((each) => each.frame === root) ?? null;
  return (
    <div class="flame">
      <p class="quiet small told">
        {shown === null ? (
          <>
            Width is critical time; choose a frame to look closer.{" "}
            {of.all > of.frames.length && `${count(of.all - of.frames.length)} of ${count(of.all)} call paths are too narrow to be here.`}
          </>
        ) : (
          <>
            <b>{shown.service}</b> {shown.operation}: {duration(shown.total_ns)} with all it called, {duration(shown.critical_ns)} ({share(shown.share)}) of its own, in{" "}
            {plural(shown.traces, "trace")} · <TraceLink id={shown.exemplar}>the trace with most of it</TraceLink>
          </>
        )}{" "}
        {root !== null && (
          <button type="button" class="plain" onClick={() => setRoot(null)}>
            Show everything
          </button>
        )}
      </p>
      <div ref={box} class="frames" style={{ height: `${rows * ROW}px` }}>
        {boxes.map(({ frame, left, wide, row }) => (
          <button
            type="button"
            key={frame.frame}
            class={`frame ${of.colours[frame.service] ?? "s7"}`}
            style={{ left: `${left}px`, width: `${Math.max(wide - 1, 1)}px`, top: `${row * ROW}px` }}
            onClick={() => setRoot(frame.frame === root ? null : frame.frame)}
            onPointerEnter={() => setTold(frame)}
            onFocus={() => setTold(frame)}
            onPointerLeave={() => setTold(null)}
            aria-label={`${frame.service} ${frame.operation}, ${duration(frame.total_ns)}`}
          >
            {wide > 30 && `${frame.service} ${frame.operation}`}
          </button>
        ))}
      </div>
    </div>
  );
}

interface Box {
  frame: Frame;
  left: number;
  wide: number;
  row: number;
}

/** Frames come depth first: a parent has its place before its children ask for theirs. */
function placed(frames: Frame[], root: number | null, width: number): Box[] {
  const chosen = frames.find((frame) => frame.frame === root);
  const total = chosen?.total_ns ?? frames.filter((frame) => frame.parent === null).reduce((all, frame) => all + frame.total_ns, 0);
  if (total === 0) return [];
  const next = new Map<number | null, number>([[chosen ? chosen.parent : null, 0]]);
  const base = chosen?.depth ?? 0;
  const boxes: Box[] = [];
  for (const frame of frames) {
    if (chosen !== undefined && frame.depth <= base && frame !== chosen) continue;
    const left = next.get(frame.parent);
    const wide = (frame.total_ns / total) * width;
    if (left === undefined || wide < NARROWEST) continue;
    next.set(frame.parent, left + wide);
    next.set(frame.frame, left);
    boxes.push({ frame, left, wide, row: frame.depth - base });
  }
  return boxes;
}
