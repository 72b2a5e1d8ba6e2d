"""Numba kernels: pure functions over NumPy arrays. Knows no other package of the project."""
