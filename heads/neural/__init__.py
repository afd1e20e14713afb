"""FACE of neural."""
