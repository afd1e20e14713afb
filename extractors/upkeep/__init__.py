"""FACE of upkeep."""
