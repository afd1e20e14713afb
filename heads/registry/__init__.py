"""FACE of registry."""
