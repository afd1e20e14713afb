"""FACE of doctor."""
