"""FACE of cache."""
