"""FACE of pretraining."""
