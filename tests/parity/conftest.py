import jax
import pytest


@pytest.fixture(autouse=True)
def _quick_compilation():
    """What is compiled here runs once or thrice: compiling it well would take most of the time."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
