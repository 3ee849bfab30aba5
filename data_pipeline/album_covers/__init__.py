"""The dataset of a collection of covers on disk."""
