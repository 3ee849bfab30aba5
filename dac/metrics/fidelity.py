"""Do generated covers show what was asked of them? A classifier of real covers reads it back."""

import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

BATCH_SIZE = 64
EPOCHS = 12
LEARNING_RATE = 1e-3


class GenreClassifier(nn.Module):
    """A small convolutional network; `[B, R, R, 3]` in [-1, 1] to logits `[B, genres]`."""

    genres: int

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Applies the network; stride 2 until 4x4 is left."""
        x, width = images, 32
        while x.shape[1] > 4:
            x = nn.relu(nn.Conv(width, (3, 3), strides=2)(x))
            width = min(2 * width, 128)
        return nn.Dense(self.genres)(x.reshape(x.shape[0], -1))


@dataclasses.dataclass(frozen=True)
class GenreReader:
    """A trained classifier of genres.

    Attributes:
      params: of `GenreClassifier`.
      genres: number of genres.
    """

    params: dict
    genres: int

    def read(self, images: np.ndarray) -> np.ndarray:
        """Returns the likeliest genre of each cover, `[N]` int64, of `[N, R, R, 3]` uint8."""
        parts = [
            _logits(GenreClassifier(self.genres), self.params, part)
            for part in np.array_split(images, max(len(images) // 256, 1))
        ]
        return np.concatenate(parts).argmax(axis=1)


def train_genre_reader(images: np.ndarray, weights: np.ndarray, seed: int) -> GenreReader:
    """Trains a classifier.

    Covers are shifted by up to a sixteenth of their side, as generated ones are not where the real
    ones are to the pixel.

    Args:
      images: real covers `[N, R, R, 3]` uint8.
      weights: of the genres of each, `[N, G]` float32, rows that sum to 1.
      seed: of the initial weights and the order.
    """
    model = GenreClassifier(weights.shape[1])
    batch_size = min(BATCH_SIZE, len(images))
    steps = EPOCHS * (len(images) // batch_size)
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
    params = model.init(jax.random.key(seed), _scale(images[:1]))
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, batch, target):
        def loss(params):
            logits = model.apply(params, _scale(batch))
            return optax.softmax_cross_entropy(logits, target).mean()

        gradients = jax.grad(loss)(params)
        # Adam raises a float to an integer power, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state

    random = np.random.default_rng(seed)
    reach = max(images.shape[1] // 16, 1)
    for _ in range(EPOCHS):
        order = random.permutation(len(images))
        for start in range(0, len(images) - batch_size + 1, batch_size):
            chosen = order[start : start + batch_size]
            shift = tuple(random.integers(-reach, reach, 2, endpoint=True))
            batch = np.roll(images[chosen], shift, axis=(1, 2))
            params, state = step(params, state, batch, weights[chosen])
    return GenreReader(params, weights.shape[1])


def genre_accuracy(read: np.ndarray, wanted: Sequence[Sequence[int]]) -> float:
    """Share of covers whose genre was read as one of theirs.

    Args:
      read: genre that was read of each cover, `[N]`.
      wanted: genres of each.
    """
    return float(np.mean([genre in genres for genre, genres in zip(read, wanted, strict=True)]))


def _scale(images):
    return jnp.asarray(images, jnp.float32) / 127.5 - 1.0


@jax.jit(static_argnums=0)
def _logits(model, params, images):
    return model.apply(params, _scale(images))
