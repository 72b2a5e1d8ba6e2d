"""Questions that cannot be answered, in words for the person who asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tracescape_storage.errors import StoreError


class UnknownTraceError(StoreError):
    """No stored span belongs to the trace that was asked for."""


class UnknownServiceError(StoreError):
    """No stored span belongs to the service that was asked for."""


def near(wanted: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """The names most like ``wanted``, best first; at most ``limit``, none if nothing is close."""
    known = {name.lower(): name for name in names}
    return [known[match] for match in difflib.get_close_matches(wanted.lower(), known, n=limit)]


def unknown_service(wanted: str, names: Iterable[str]) -> UnknownServiceError:
    """The error for a service that the store does not have, with the names that come near."""
    known = sorted(names)
    close = near(wanted, known)
    if close:
        hint = f"Did you mean {' or '.join(repr(name) for name in close)}?"
    elif known:
        listed = ", ".join(known[:10]) + (" …" if len(known) > 10 else "")
        hint = f"The store has: {listed}."
    else:
        hint = "The store has no spans yet: send some, then ask again."
    return UnknownServiceError(f"No span of a service {wanted!r} is stored. {hint}")
