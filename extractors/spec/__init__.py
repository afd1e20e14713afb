"""FACE of spec."""
