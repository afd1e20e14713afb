"""FACE of nightly."""
