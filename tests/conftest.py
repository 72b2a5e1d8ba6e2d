"""Settings for the whole suite."""

from __future__ import annotations

from hypothesis import settings

# The first example of a test may compile a kernel, which takes seconds.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
