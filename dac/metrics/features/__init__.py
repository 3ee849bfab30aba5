"""Features of pictures, by classifiers that were trained on ImageNet; pure JAX."""
