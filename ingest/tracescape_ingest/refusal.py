"""What a sender is told when a request is not taken: one table for both ports.

A sender that is told to retry must be right to do so: nothing of its request was stored, and later it may be;
or that is not known yet, and what is sent again is judged when it is.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from google.rpc import code_pb2

from tracescape_ingest.access import UnauthenticatedError
from tracescape_ingest.bounds import TooSlowError
from tracescape_ingest.decode import UndecodableError
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.otlp_json import OtlpJsonError
from tracescape_storage.errors import InDoubtError, StoreError, StoreFullError, UnstorableError

RETRY_AFTER_S: Final = 1


class Refusal(NamedTuple):
    """An answer other than success: the gRPC code, the HTTP status, why, and whether to send it again."""

    code: int
    status: int
    message: str
    retry: bool = False


class RefusedError(Exception):
    """A receiver's own refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refusal_of(error: Exception) -> Refusal:
    """How to say ``error`` to the sender. What nobody foresaw is an internal error, without its details."""
    if isinstance(error, RefusedError):
        return error.refusal
    if isinstance(error, UndecodableError | OtlpJsonError):
        return Refusal(code_pb2.INVALID_ARGUMENT, 400, str(error))
    if isinstance(error, UnauthenticatedError):
        return Refusal(code_pb2.UNAUTHENTICATED, 401, str(error))
    if isinstance(error, TooSlowError):
        return Refusal(code_pb2.UNAVAILABLE, 408, f"{error}; send it again", retry=True)
    if isinstance(error, OverloadError):
        return Refusal(code_pb2.UNAVAILABLE, 503, f"{error}; send it again in a moment", retry=True)
    if isinstance(error, UnstorableError):
        return Refusal(code_pb2.INVALID_ARGUMENT, 400, f"the store does not take this: {error}")
    if isinstance(error, InDoubtError):
        again = "it is not known yet whether this was stored; send it again, it counts once"
        return Refusal(code_pb2.UNAVAILABLE, 503, f"{again} ({error})", retry=True)
    if isinstance(error, StoreFullError):
        return Refusal(code_pb2.UNAVAILABLE, 503, str(error), retry=True)
    if isinstance(error, StoreError):
        return Refusal(code_pb2.UNAVAILABLE, 503, f"nothing was stored: {error}", retry=True)
    return Refusal(code_pb2.INTERNAL, 500, "the collector failed at this request; its log says more")


def too_large(limit: int) -> RefusedError:
    """The body or message is over ``limit`` bytes; the same one will be tomorrow."""
    why = f"larger than {limit:,} bytes; send less at once"
    return RefusedError(Refusal(code_pb2.RESOURCE_EXHAUSTED, 413, why))
