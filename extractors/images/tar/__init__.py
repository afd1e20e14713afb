"""FACE of tar."""
