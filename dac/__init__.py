"""Duck and Cover: GANs that make album covers, in JAX."""
