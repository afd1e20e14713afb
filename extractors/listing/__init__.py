"""FACE of listing."""
