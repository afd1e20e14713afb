"""FACE of experiment."""
