"""Training: losses, the step, the plan, reports, and the loop that joins them."""
