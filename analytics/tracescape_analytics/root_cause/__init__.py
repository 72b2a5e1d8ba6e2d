"""What broke: ranked causes of a window's trouble, with their evidence; see docs/root_cause.md."""

from tracescape_analytics.root_cause.diagnosis import (
    CAUSE_SCHEMA,
    Diagnosis,
    diagnose,
    diagnose_of,
    search_of,
)

__all__ = ["CAUSE_SCHEMA", "Diagnosis", "diagnose", "diagnose_of", "search_of"]
