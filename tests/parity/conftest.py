import jax
import pytest


@pytest.fixture(autouse=True)
def _quick_compilation():
    """Disables most compiler optimisations, because these programs run only a few times."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
