"""What is different about some spans: a selection against a baseline, over every attribute."""

from tracescape_analytics.compare.comparison import Comparison, compare
from tracescape_analytics.compare.selection import Cell, Selection

__all__ = ["Cell", "Comparison", "Selection", "compare"]
