"""FACE of streamed."""
