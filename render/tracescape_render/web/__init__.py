"""The page in a browser: the built files of ``render/web`` and how they are served."""

from tracescape_render.web.files import page_paths, page_routes

__all__ = ["page_paths", "page_routes"]
