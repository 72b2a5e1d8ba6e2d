"""Files that are shown and not stored: OTLP JSON as tables."""

from __future__ import annotations

import json

from tracescape_analytics.jaeger import Uploaded
from tracescape_ingest.decode import decode_traces
from tracescape_ingest.otlp_json import OtlpJsonError, request_of


def uploaded(body: bytes) -> Uploaded:
    """The spans of an OTLP JSON document, every attribute in ``attributes``.

    Raises:
        OtlpJsonError: it is no such document, or none of its spans can be read; a ValueError.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise OtlpJsonError(f"this is no JSON: {error}") from error
    decoded = decode_traces(request_of(document).SerializeToString(), columns={})
    if decoded.rejected and not decoded.tables["spans"].num_rows:
        raise OtlpJsonError(decoded.message)
    return Uploaded(decoded.tables, decoded.message)
