"""FACE of images."""
