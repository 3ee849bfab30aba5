"""The embedded default dataset: drawn album covers that need no network."""
