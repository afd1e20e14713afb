"""FACE of serving."""
