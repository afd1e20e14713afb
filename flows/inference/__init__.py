"""FACE of inference."""
