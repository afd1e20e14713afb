"""FACE of scoring."""
