"""Readers: small networks that learn to tell genre or year from real covers."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

# Chosen on the demo covers, where these readers are nearly always right.
BATCH_SIZE = 64
STEPS = 800
LEARNING_RATE = 1e-3
READ_SIZE = 256  # covers per batch when reading


class _Network(nn.Module):
    """A small convolutional network; `[B, R, R, 3]` in [-1, 1] to logits `[B, classes]`."""

    classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Applies the network: convolutions of stride 2 down to 4x4, then a dense layer."""
        x, width = images, 32
        while x.shape[1] > 4:
            x = nn.relu(nn.Conv(width, (3, 3), strides=2)(x))
            width = min(2 * width, 128)
        return nn.Dense(self.classes)(x.reshape(x.shape[0], -1))


@dataclasses.dataclass(frozen=True)
class Reader:
    """A trained classifier of covers.

    Attributes:
      params: parameters of its network.
      classes: number of classes.
    """

    params: dict
    classes: int

    def read(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities, `[N, classes]` float32, of covers `[N, R, R, 3]` uint8."""
        parts = np.array_split(images, -(-len(images) // READ_SIZE))
        network = _Network(self.classes)
        return np.concatenate([_probabilities(network, self.params, part) for part in parts])


def train_reader(images: np.ndarray, targets: np.ndarray, seed: int) -> Reader:
    """Trains a reader.

    Covers are shifted by up to a sixteenth of their side, because generated covers are not aligned
    with real ones to the pixel. Shifts also make the reader robust to blur.

    Args:
      images: real covers, `[N, R, R, 3]` uint8; R is a power of two, at least 4.
      targets: class probabilities, `[N, classes]` float32; rows sum to 1.
      seed: seed of the initial weights, the order and the shifts.
    """
    network = _Network(targets.shape[1])
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))
    params = network.init(jax.random.key(seed), _scale(images[:1]))
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, batch, target):
        def loss(params):
            logits = network.apply(params, _scale(batch))
            return optax.softmax_cross_entropy(logits, target).mean()

        gradients = jax.grad(loss)(params)
        # Adam raises a float to an integer power, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state

    random = np.random.default_rng(seed)
    reach = max(images.shape[1] // 16, 1)
    for _ in range(STEPS):
        chosen = random.integers(len(images), size=BATCH_SIZE)
        shift = tuple(random.integers(-reach, reach, 2, endpoint=True))
        batch = np.roll(images[chosen], shift, axis=(1, 2))
        params, state = step(params, state, batch, targets[chosen])
    return Reader(params, targets.shape[1])


def two_hot(values: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Encodes numbers as probabilities of marks, so that a reader can learn them like classes.

    A number is spread over the two marks beside it so that their weighted mean is the number. The
    mean of the marks, weighted by `Reader.read`, decodes it ("two-hot": Farebrother et al. 2024,
    arXiv 2403.03950, section 3.1).

    Args:
      values: `[N]`, between the first mark and the last.
      marks: `[K]`, evenly spaced and rising.

    Returns:
      `[N, K]` float32; rows sum to 1.
    """
    distances = np.abs(np.asarray(values)[:, None] - marks) / (marks[1] - marks[0])
    return np.maximum(1.0 - distances, 0.0).astype(np.float32)


def _scale(images):
    return jnp.asarray(images, jnp.float32) / 127.5 - 1.0


@jax.jit(static_argnums=0)
def _probabilities(network, params, images):
    return jax.nn.softmax(network.apply(params, _scale(images)))
