"""Questions that cannot be answered, in words for the person who asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tracescape_storage.errors import StoreError


class UnknownTraceError(StoreError):
    """No stored span belongs to the trace that was asked for."""


class UnknownServiceError(StoreError):
    """No stored span belongs to the service that was asked for."""


class UnknownOperationError(StoreError):
    """No stored span has the operation that was asked for."""


class UnknownEnvironmentError(StoreError):
    """No stored span comes from the environment that was asked for."""


def near(wanted: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """The names most like ``wanted``, best first; at most ``limit``, none if nothing is close."""
    known = {name.lower(): name for name in names}
    return [known[match] for match in difflib.get_close_matches(wanted.lower(), known, n=limit)]


def unknown_service(wanted: str, names: Iterable[str]) -> UnknownServiceError:
    """The error for a service that the store does not have, with the names that come near."""
    return UnknownServiceError(f"No span of a service {wanted!r} is stored. {_hint(wanted, names)}")


def unknown_operation(wanted: str, service: str | None, names: Iterable[str]) -> UnknownOperationError:
    """As `unknown_service`, for an operation, perhaps of one service."""
    of_service = "" if service is None else f" of {service!r}"
    return UnknownOperationError(
        f"No span of an operation {wanted!r}{of_service} is stored. {_hint(wanted, names)}"
    )


def unknown_environment(wanted: str, names: Iterable[str]) -> UnknownEnvironmentError:
    """As `unknown_service`, for a ``deployment.environment.name``."""
    return UnknownEnvironmentError(
        f"No span of an environment {wanted!r} is stored. {_hint(wanted, names, 'environments')}"
    )


def _hint(wanted: str, names: Iterable[str], what: str = "spans") -> str:
    known = sorted(names)
    close = near(wanted, known)
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in close)}?"
    if known:
        return f"The store has: {', '.join(known[:10])}{' …' if len(known) > 10 else '.'}"
    return f"The store has no {what} yet: send some, then ask again."
