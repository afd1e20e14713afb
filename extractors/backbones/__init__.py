"""FACE of backbones."""
