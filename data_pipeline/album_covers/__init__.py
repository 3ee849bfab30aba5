"""The dataset built from a collection of covers on disk."""
