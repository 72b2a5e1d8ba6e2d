"""What the page in a browser asks of a collector, as JSON: ``/ask/…``. The page itself is render's."""

from tracescape.page.routes import ask_routes

__all__ = ["ask_routes"]
