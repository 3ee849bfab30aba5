"""Tells apart the errors of JAX that a person can do something about."""

import jax


def out_of_memory(error: BaseException) -> bool:
    """Whether a device or the host ran out of memory."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def another_process_ended(error: BaseException) -> bool:
    """Whether this process failed because it can no longer reach another process of the run."""
    if jax.process_count() == 1 or out_of_memory(error):
        return False
    return isinstance(error, jax.errors.JaxRuntimeError) or "Gloo" in str(error)
