"""FACE of remote."""
