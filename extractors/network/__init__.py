"""FACE of network."""
