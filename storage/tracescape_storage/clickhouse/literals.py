"""Values on their way into ClickHouse's SQL: bound, or as literals that cannot be anything else."""

from __future__ import annotations


class Bound:
    """The values of one statement. What people wrote is bound; only what we wrote ourselves is a literal."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def text(self, value: str) -> str:
        """A placeholder for ``value``."""
        for name, known in self.values.items():
            if known == value:
                return f"{{{name}:String}}"
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:String}}"


def literal(text: str) -> str:
    """``text`` as a literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def number(value: int) -> str:
    """``value`` as a literal that is an Int64, whatever its size."""
    return f"toInt64({int(value)})"


def instant(nanoseconds: int) -> str:
    """Epoch nanoseconds as ClickHouse's DateTime64(9)."""
    return f"fromUnixTimestamp64Nano({number(max(min(nanoseconds, 2**63 - 1), -(2**63 - 1)))})"
