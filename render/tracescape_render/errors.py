"""What can keep a picture from being made."""

from __future__ import annotations


class RenderError(Exception):
    """No picture or window can be had. The message says what to do."""
