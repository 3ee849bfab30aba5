"""Configs of the runs that people launch."""
