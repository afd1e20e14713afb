"""FACE of estimators."""
