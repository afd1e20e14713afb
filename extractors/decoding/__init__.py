"""FACE of decoding."""
