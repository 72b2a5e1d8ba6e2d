"""What has been seen lately, with sets: defines ``tracescape_native.recent``."""

from __future__ import annotations

from tracescape_native.recent import NEW, SAME_IDENTITY, SEEN

Pair = tuple[int, int]


def judge(pairs: list[Pair], known: set[Pair], pending: set[Pair]) -> list[int]:
    """A verdict a pair; what is not SEEN goes to ``pending``, so that later pairs see it."""
    verdicts = []
    for pair in pairs:
        everything = known | pending
        if pair in everything:
            verdicts.append(SEEN)
            continue
        identities = {identity for identity, _ in everything}
        verdicts.append(SAME_IDENTITY if pair[0] in identities else NEW)
        pending.add(pair)
    return verdicts
