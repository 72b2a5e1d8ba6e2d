"""What a request asks for: its parameters, each looked at once."""

from __future__ import annotations

import json
from typing import Final

from starlette.datastructures import QueryParams

_TRUE: Final = {"1": True, "true": True, "0": False, "false": False}


class Asked:
    """The parameters of a request, of which each may be there once and only ``known`` ones may be.

    Raises:
        ValueError: from any method: a parameter is unknown, repeated, or no value of its kind.
    """

    def __init__(self, parameters: QueryParams, known: tuple[str, ...]) -> None:
        self._values = dict(parameters)
        for name in self._values:
            if name not in known:
                takes = ", ".join(known) or "none"
                raise ValueError(f"there is no parameter {name!r:.80} here; this question takes {takes}")
            if len(parameters.getlist(name)) > 1:
                raise ValueError(f"the parameter {name} stands there twice")

    def text(self, name: str) -> str | None:
        """The text; None for none, or an empty one."""
        return self._values.get(name) or None

    def needed(self, name: str) -> str:
        """The text, which has to be there."""
        value = self.text(name)
        if value is None:
            raise ValueError(f"the parameter {name} is missing")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Several texts: a JSON list, for names may have any sign in them. Without it, none."""
        value = self.text(name)
        if value is None:
            return ()
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise ValueError(f"{name} is a JSON list of texts, not {value!r:.80}")
        return tuple(found)

    def whole(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or len(value) > 18:
            raise ValueError(f"{name} is a whole number, not {value!r:.80}")
        return int(value)

    def share(self, name: str) -> float | None:
        """A number."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{name} is a number, not {value!r:.80}") from None

    def flag(self, name: str) -> bool:
        """Whether; without it, no."""
        value = self.text(name)
        if value is None:
            return False
        if value not in _TRUE:
            raise ValueError(f"{name} is 1 or 0, not {value!r:.80}")
        return _TRUE[value]
