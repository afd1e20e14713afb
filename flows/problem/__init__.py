"""FACE of problem."""
