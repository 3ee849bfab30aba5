"""Collects album covers and builds datasets from them."""
