"""What Jaeger's answers are wrapped in, and its errors: of its own API, and of version 3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from starlette.responses import Response

Document: TypeAlias = dict[str, Any]


def legacy(data: Any, total: int = 0, errors: Sequence[Document] = ()) -> Document:
    """An answer of ``/api``."""
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": list(errors) or None}


def legacy_error(message: str, status: int) -> Document:
    """What ``/api`` says of a question that has no answer."""
    return legacy(None, errors=[{"code": status, "msg": message}])


def v3_error(message: str, status: int) -> Document:
    """What ``/api/v3`` says of a question that has no answer."""
    return {"error": {"httpCode": status, "message": message}}


def response(document: Document, status: int) -> Response:
    """``document`` as JSON."""
    # Lone surrogates cannot be stored, so nothing here can fail to be encoded.
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, status, media_type="application/json")
