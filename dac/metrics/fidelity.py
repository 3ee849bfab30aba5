"""Do generated covers show what was asked of them? Networks taught by real covers read it back."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

# Chosen on the demo covers, of which the genre and the year are then read nearly without fail.
BATCH_SIZE = 64
STEPS = 800
LEARNING_RATE = 1e-3
READ_SIZE = 256  # covers that are read at once


class _Network(nn.Module):
    """A small convolutional network; `[B, R, R, 3]` in [-1, 1] to logits `[B, classes]`."""

    classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Applies the network; stride 2 until 4x4 is left."""
        x, width = images, 32
        while x.shape[1] > 4:
            x = nn.relu(nn.Conv(width, (3, 3), strides=2)(x))
            width = min(2 * width, 128)
        return nn.Dense(self.classes)(x.reshape(x.shape[0], -1))


@dataclasses.dataclass(frozen=True)
class Reader:
    """Tells classes of covers apart.

    Attributes:
      params: of its network.
      classes: number of classes.
    """

    params: dict
    classes: int

    def read(self, images: np.ndarray) -> np.ndarray:
        """Returns probabilities `[N, classes]` float32 of covers `[N, R, R, 3]` uint8."""
        parts = np.array_split(images, -(-len(images) // READ_SIZE))
        network = _Network(self.classes)
        return np.concatenate([_probabilities(network, self.params, part) for part in parts])


def train_reader(images: np.ndarray, targets: np.ndarray, seed: int) -> Reader:
    """Trains a reader.

    Covers are shifted by up to a sixteenth of their side, as generated ones are not where the real
    ones are to the pixel; it also keeps blurred covers legible.

    Args:
      images: real covers `[N, R, R, 3]` uint8; R is a power of two, at least 4.
      targets: probabilities of the classes for each, `[N, classes]` float32, rows that sum to 1.
      seed: of the initial weights, the order and the shifts.
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
    """Spreads numbers over marks, so that a reader learns them as it does classes.

    Each falls to the two marks beside it, in such parts that their mean is the number again; the
    mean of the marks by what `Reader.read` returns is then what was read ("two-hot": Farebrother et
    al. 2024, arXiv 2403.03950, section 3.1).

    Args:
      values: `[N]`, between the first mark and the last.
      marks: `[K]`, evenly spaced and rising.

    Returns:
      `[N, K]` float32, rows that sum to 1.
    """
    distances = np.abs(np.asarray(values)[:, None] - marks) / (marks[1] - marks[0])
    return np.maximum(1.0 - distances, 0.0).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How often covers fit what was asked of them, and what of that is no accident.

    Attributes:
      share: of covers that fit what was asked of them.
      shuffled: the share to expect if what was asked is shuffled among the covers: what a generator
        would reach that makes the same covers but ignores what it is asked.
      z: how far the first is above the second, in standard deviations under shuffling.
      p: how probable shuffling would make a `z` at least as high, by the normal approximation.
    """

    share: float
    shuffled: float
    z: float
    p: float


def agreement(fits: np.ndarray) -> Agreement:
    """Tests whether covers fit what was asked of them better than what was asked of others.

    A permutation test with the exact mean and variance of the share over all permutations
    (Hoeffding 1951, "A combinatorial central limit theorem", theorem 2), so nothing is drawn.

    Args:
      fits: whether what is seen on cover i fits what was asked of cover j, `[N, N]` bool, N > 1.
    """
    count = len(fits)
    share, shuffled = np.diagonal(fits).mean(), fits.mean()
    # The sum of squares of the matrix without the means of its rows and columns.
    rows, columns = np.square(fits.mean(axis=0)).mean(), np.square(fits.mean(axis=1)).mean()
    squares = count**2 * (shuffled - rows - columns + shuffled**2)
    deviation = math.sqrt(max(squares, 0.0) / (count - 1)) / count
    # A constant matrix leaves rounding errors alone.
    z = (share - shuffled) / deviation if deviation > 1e-6 else 0.0
    return Agreement(float(share), float(shuffled), float(z), math.erfc(z / math.sqrt(2)) / 2)


def _scale(images):
    return jnp.asarray(images, jnp.float32) / 127.5 - 1.0


@jax.jit(static_argnums=0)
def _probabilities(network, params, images):
    return jax.nn.softmax(network.apply(params, _scale(images)))
