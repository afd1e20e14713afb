"""FACE of sums."""
