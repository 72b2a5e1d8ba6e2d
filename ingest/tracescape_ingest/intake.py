"""The one door behind every receiver: encoded OTLP in, an outcome once it is durable."""

from __future__ import annotations

from concurrent.futures import Future
from enum import StrEnum
from typing import NamedTuple

from tracescape_ingest.decode import decode_traces
from tracescape_ingest.group_commit import GroupCommit


class Signal(StrEnum):
    """What OTLP carries."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Outcome(NamedTuple):
    """What became of a request: items stored (duplicates included), items rejected, and the reasons.

    ``message`` is for ``partial_success.error_message``: empty when there is nothing to say.
    """

    accepted: int
    rejected: int
    message: str


class Intake:
    """Decodes, admits and stores requests of one store. Safe to use from several threads."""

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits

    def submit(self, signal: Signal, data: bytes) -> Future[Outcome]:
        """Take an encoded ``Export…ServiceRequest``; the future resolves once its items are on disk.

        Decoding happens in the caller's thread. The future fails with `StoreError` when storing failed.

        Raises:
            UndecodableError: ``data`` is no such message.
            OverloadError: not admitted, nothing of it will be stored; sending again later is right.
        """
        if signal is not Signal.TRACES:
            raise NotImplementedError(signal)
        decoded = decode_traces(data)
        outcome = Outcome(decoded.spans, decoded.rejected, decoded.message)
        answer: Future[Outcome] = Future()
        if not decoded.spans:
            answer.set_result(outcome)
            return answer

        def settle(done: Future[None]) -> None:
            error = done.exception()
            if error is None:
                answer.set_result(outcome)
            else:
                answer.set_exception(error)

        self._commits.submit(decoded.batch).add_done_callback(settle)
        return answer
