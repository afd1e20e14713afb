"""FACE of sweep."""
