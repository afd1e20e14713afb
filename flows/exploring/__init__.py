"""FACE of exploring."""
