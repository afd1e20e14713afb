"""FACE of charts."""
