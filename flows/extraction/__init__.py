"""FACE of extraction."""
