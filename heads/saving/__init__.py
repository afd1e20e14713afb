"""FACE of saving."""
