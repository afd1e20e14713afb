"""FACE of analysis."""
