"""Why a request is not taken, where the reason is the collector's and not the sender's."""

from __future__ import annotations


class OverloadError(Exception):
    """Not admitted: too much waits already, or the collector is closing. Sending again later is right."""
