"""Slow, obvious twins of the kernels: they define the answers."""
