"""What `experiments.benchmark` can measure: a file for each, and what they share."""
