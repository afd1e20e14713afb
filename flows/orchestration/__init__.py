"""FACE of orchestration."""
