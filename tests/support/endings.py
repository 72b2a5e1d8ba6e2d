"""What a process says when it ends."""


def without_bindings_list(error: str) -> str:
    """Without what DuckDB's bindings list of what is alive when a process ends at once; nobody did wrong."""
    said = [line for line in error.splitlines() if "nanobind" not in line and not line.startswith(" - ")]
    return "\n".join(said)
