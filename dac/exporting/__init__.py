"""Taking a generator elsewhere: a folder that other programs can draw covers with."""
