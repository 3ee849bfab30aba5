"""The built-in default dataset: drawn album covers that need no network."""
