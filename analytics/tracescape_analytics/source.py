"""Where the counts of windows come from: a store, or what is kept of its last minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tracescape_analytics.counts import Counts, merged
from tracescape_analytics.lately import Lately, Look
from tracescape_analytics.namespaces import condition_of
from tracescape_analytics.rollups import counts_of, kept_samples
from tracescape_analytics.windows import MINUTE_NS, Window, bounded, closed
from tracescape_storage.reader import Reader


class Source(Protocol):
    """Counts of one store. Raises `StoreError` where that cannot be asked."""

    def counts(self, window: Window) -> Counts:
        """See `rollups.counts_of`."""
        ...

    def bounds(self, window: Window) -> tuple[int, int]:
        """See `windows.bounded`."""
        ...

    def samples(self, window: Window, length_ns: int, most: int) -> Sequence[tuple[Window, Counts]]:
        """See `rollups.kept_samples`."""
        ...


class Stored(NamedTuple):
    """Everything is asked of the store. Of one ``environment`` of several there are no samples: what is kept
    by minute does not tell them apart."""

    reader: Reader
    environment: str | None = None

    def counts(self, window: Window) -> Counts:
        """See `Source`."""
        return counts_of(self.reader, window, self.environment)

    def bounds(self, window: Window) -> tuple[int, int]:
        """See `Source`."""
        return bounded(self.reader, window)

    def samples(self, window: Window, length_ns: int, most: int) -> Sequence[tuple[Window, Counts]]:
        """See `Source`."""
        if condition_of(self.reader, self.environment):
            return []
        return kept_samples(self.reader, window, length_ns, most)


class Looked(NamedTuple):
    """What was kept when one looked: all answers are of that moment."""

    lately: Lately
    look: Look

    def counts(self, window: Window) -> Counts:
        """See `Source`; for windows of whole minutes. What is older than what was looked at may be newer than
        the rest, until one looks again."""
        since, until, begin = window.since_ns or 0, window.until_ns, self.look.begin * MINUTE_NS
        if since >= begin:
            return self.look.counts(window)
        if until is not None and until <= begin:
            return self.lately.older(window)
        recent = self.look.counts(Window(begin, until))
        return merged([self.lately.older(Window(since, begin)), recent])

    def bounds(self, window: Window) -> tuple[int, int]:
        """See `Source`."""
        return closed(window, self.look.first_ns, self.look.last_ns)

    def samples(self, window: Window, length_ns: int, most: int) -> Sequence[tuple[Window, Counts]]:
        """See `Source`."""
        return self.lately.samples(window, length_ns, most)
