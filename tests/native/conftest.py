from __future__ import annotations

from hypothesis import settings

# The first example of a test compiles the kernel, which takes seconds.
settings.register_profile("kernels", deadline=None)
settings.load_profile("kernels")
