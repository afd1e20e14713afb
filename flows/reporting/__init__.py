"""FACE of reporting."""
