"""Collects covers and builds datasets of them."""
