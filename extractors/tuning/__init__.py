"""FACE of tuning."""
