"""Moments as people read them: in the time zone of who asks, which is this machine's unless somebody says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

_zone: ContextVar[tzinfo | None] = ContextVar("time zone", default=None)
_LONGEST_NAME: Final = 64


@contextmanager
def in_zone(name: str | None) -> Iterator[None]:
    """Moments are those of the zone ``name`` (as IANA has it) meanwhile, in this thread or task.

    None, and what is no zone that this machine knows, leaves them this machine's.
    """
    before = _zone.set(_found(name))
    try:
        yield
    finally:
        _zone.reset(before)


def readable_time(ns: int) -> str:
    """Epoch nanoseconds as local time to the second, with the date: ``2026-11-22 10:15:00``."""
    zone = _zone.get()
    moment = datetime.fromtimestamp(ns / 1e9, zone or UTC).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def in_local_zone(moment: datetime) -> datetime:
    """``moment``, which is in the local zone where it names none."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=_zone.get()).astimezone()


def _found(name: str | None) -> tzinfo | None:
    if not name or len(name) > _LONGEST_NAME:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # no name of a zone, or none of its files is here
        return None
