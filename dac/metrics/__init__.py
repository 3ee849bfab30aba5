"""Measures the covers of a run."""
