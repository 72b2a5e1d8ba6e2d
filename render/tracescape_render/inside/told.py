"""What is said about a wall: of a span, of a crowd, of a note, of the whole."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tracescape_analytics.trace_pairs import CHANGES
from tracescape_render.charts.axes import signed
from tracescape_render.inside.bodies import Bodies
from tracescape_render.inside.standing import LEVELS, Standing
from tracescape_render.strip import clock_words
from tracescape_render.text import TOOLTIP_LENGTH, display_name, duration, share

_NOTES: Final = 3
_SIGNS: Final = {
    "fails": "fails here",
    "passes": "passes the error on",
    "works": "✓ works here",
    "left": "◇ only here",
    "right": "◇ only here",
}
#: A difference that is less than this share of the longer request is not worth a number.
_WORTH: Final = 0.01


def length_of(wall: Standing, span: int) -> int:
    """How long a span is on the wall, ns."""
    return int(wall.end[span] - wall.start[span])


def change_words(wall: Standing, span: int) -> str:
    """What is different from the other trace, in few words; empty for nothing."""
    change = told_change(wall, span)
    if change == "same":
        return ""
    gain, longest = int(wall.gain[span]), max(block.root_ns for block in wall.blocks)
    worth = abs(gain) >= _WORTH * longest and wall.partner[span] >= 0
    grown = f"{'▲ +' if gain > 0 else '▼ −'}{duration(abs(gain))}" if worth else ""
    sign = _SIGNS.get("passes" if change == "fails" and wall.passed_on[span] else change, "")
    return " ".join(part for part in (sign, grown) if part)


def told_change(wall: Standing, span: int) -> str:
    """One of `CHANGES`. What became of a span is told of the second trace; of the first, what only it has."""
    change = CHANGES[wall.change[span]]
    first = span < wall.blocks[-1].first_span
    return "same" if first and change != "left" else change


def told_changes(wall: Standing) -> NDArray[np.int64]:
    """The spans of which a change is told, the greatest first."""
    changed = wall.changed
    only = wall.change[changed] == CHANGES.index("left")
    return changed[only | (changed >= wall.blocks[-1].first_span)] if len(wall.blocks) > 1 else changed[:0]


def span_words(wall: Standing, span: int) -> str:
    """Everything that the wall knows of a span, in lines."""
    block = wall.block_of(span)
    begins = signed(int(wall.start[span]))
    lines = [wall.name(span, TOOLTIP_LENGTH)]
    if wall.void[span]:
        lines += [
            f"{duration(length_of(wall, span))} at least, from {begins}",
            "spans name it as their parent, and it is not stored: not sent yet, lost, or pruned",
        ]
        return "\n".join(lines)
    lines.append(f"{duration(length_of(wall, span))}, from {begins} to {signed(int(wall.end[span]))}")
    own, critical = int(wall.self_ns[span]), int(wall.critical_ns[span])
    length = max(length_of(wall, span), 1)
    lines.append(f"worked {duration(own)} ({share(own, length)}), waited {duration(max(length - own, 0))}")
    if critical:
        part = share(critical, max(block.root_ns, 1))
        lines.append(f"on the critical path {duration(critical)}, {part} of the request")
    else:
        lines.append("not on the critical path")
    if wall.failed[span]:
        lines.append("✕ error, of a call below it" if wall.passed_on[span] else "✕ error")
    different = change_words(wall, span)
    if different:
        lines.append(f"beside the other trace: {different}")
    lines += _note_lines(wall, span)
    return "\n".join(lines)


def body_words(wall: Standing, drawn: Bodies, body: int) -> str:
    """Of a span, or how many are in a crowd and what they are."""
    span = int(drawn.span[body])
    if span >= 0:
        return span_words(wall, span)
    count, failed = int(drawn.count[body]), int(drawn.failed[body])
    inside = spans_in(wall, drawn, body)
    lines = [f"{count:,} spans begin here, too close to be drawn one by one" if count else "part of a crowd"]
    names, counts = np.unique(
        np.array([wall.name(each) for each in inside[:2_000].tolist()], object), return_counts=True
    )
    order = np.argsort(-counts, kind="stable")[:4]
    lines += [f"{counts[each]:,} × {names[each]}" for each in order.tolist()]
    if failed:
        lines.append(f"✕ {failed:,} with errors")
    lines.append("double click: nearer")
    return "\n".join(lines)


def spans_in(wall: Standing, drawn: Bodies, body: int) -> NDArray[np.int64]:
    """Rows of the spans that a body shows, by start."""
    if drawn.span[body] >= 0:
        return drawn.span[body : body + 1]
    reach = drawn.reach
    left, right = (reach.first + edge * reach.length for edge in (drawn.left[body], drawn.right[body]))
    low = reach.low + int(drawn.row[body]) * drawn.lanes_a_row
    found = np.flatnonzero(
        (wall.lane >= low) & (wall.lane < low + drawn.lanes_a_row) & (wall.start < right) & (wall.end >= left)
    )
    return found[np.argsort(wall.start[found], kind="stable")]


def note_words(wall: Standing, note: int) -> str:
    """An event or a log record, in lines."""
    row = wall.note_texts.row(note, named=True)
    span = int(wall.notes.span[note])
    severity = f" {row['severity']}" if row["severity"] else ""
    lines = [
        display_name(row["text"] or "", 200),
        f"{row['kind']}{severity} at {signed(int(wall.notes.time[note]))}",
        f"of {wall.name(span)}" if span >= 0 else "of no span that is stored",
    ]
    attributes = row["attributes"] or ""
    return "\n".join(lines + ([display_name(attributes, 300)] if attributes not in ("", "{}") else []))


def pin_words(wall: Standing, drawn: Bodies, pin: int) -> str:
    """Of a note, or how many are at the place of the first."""
    count = int(drawn.pins.number[pin])
    text = note_words(wall, int(drawn.pins.note[pin]))
    return text if count == 1 else f"{count:,} {LEVELS[drawn.pins.level[pin]]} here; the first:\n{text}"


def caption(wall: Standing, drawn: Bodies, whole: bool) -> str:
    """Which trace and when; in a second line what is not seen."""
    block = wall.blocks[-1]
    ids = " beside ".join(each.trace_id for each in wall.blocks)
    parts = []
    if not whole:
        parts.append(f"{signed(round(drawn.reach.first))} to {signed(round(drawn.reach.last))}")
        hidden = len(wall.start) - drawn.spans
        if hidden:
            parts.append(f"{hidden:,} spans are outside of what is shown")
    if drawn.crowded:
        parts.append(f"{drawn.crowded:,} of {drawn.spans:,} spans are drawn as crowds: zoom in")
    if not len(wall.notes.time):
        parts.append("no events, no logs")
    identity = f"trace {ids} · {clock_words(block.origin_ns)}"
    return "\n".join([identity, *([" · ".join(parts)] if parts else [])])


def _note_lines(wall: Standing, span: int) -> list[str]:
    mine = np.flatnonzero(wall.notes.span == span)
    lines = []
    for note in mine[np.argsort(wall.notes.level[mine], kind="stable")][:_NOTES].tolist():
        row = wall.note_texts.row(note, named=True)
        lines.append(
            f"{row['kind']} at {signed(int(wall.notes.time[note]))}: {display_name(row['text'] or '', 90)}"
        )
    if len(mine) > _NOTES:
        lines.append(f"and {len(mine) - _NOTES:,} more events and logs")
    return lines
