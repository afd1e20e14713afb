"""FACE of report."""
