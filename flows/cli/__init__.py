"""FACE of cli."""
