"""Training: losses, schedule, step, checkpoints, and the loop that joins them."""
