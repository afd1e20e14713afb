"""FACE of solvers."""
