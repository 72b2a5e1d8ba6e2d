"""What a person can do about a replay that does not work."""

from __future__ import annotations


class ReplayError(ValueError):
    """The file cannot be replayed, or nothing takes it. The message says what to do."""
