"""FACE of fitting."""
