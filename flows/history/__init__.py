"""FACE of history."""
