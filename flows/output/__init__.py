"""FACE of output."""
