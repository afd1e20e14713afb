"""FACE of logistic."""
