"""Conditions as the networks read them: what is known of an album becomes a vector."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from dac.covers.conditions import MAX_YEAR, MIN_YEAR, TEXT_BUCKETS, scale_year
from dac.networks.layers import EqualizedDense, leaky_relu, pixel_norm

# Arrays by name, as returned by `dac.covers.conditions.encode`; empty for an unconditional network.
Conditions = dict[str, jax.Array]

# Wavelengths of a year's Fourier features, in units of the scaled year: octaves from 480 years,
# which is longer than the range of valid years, down to 30 years.
YEAR_WAVELENGTHS = (16.0, 8.0, 4.0, 2.0, 1.0)
TEXT_FEATURES = 64  # width of the vectors of character n-grams

CLASS_LOSS = "class_loss"  # collection of a critic; see `project_conditions`
NO_CLASS = -1e9  # the logit of what is no class
# The years that a critic tells apart.
YEAR_MARKS = scale_year(np.arange(MIN_YEAR, MAX_YEAR + 1, 5))

_normal = nn.initializers.normal(1.0)


class ConditionEmbedding(nn.Module):
    """Embeds what is known of each album as the sum of one vector per field; `[B, features]`.

    Each field's vector starts with about unit variance. A field that is not known contributes a
    learned vector of its own.

    Attributes:
      features: width of the embedding.
      normalize: whether to scale the sum to unit mean square.
    """

    features: int
    normalize: bool = False

    @nn.compact
    def __call__(self, conditions: Conditions, pictures: jax.Array | None = None) -> jax.Array:
        """Embeds the given fields; there must be at least one.

        Args:
          conditions: any of `genres` `[B, G]` float32, whose rows sum to 1; `year` `[B]` float32,
            scaled; `artist` and `title` `[B, L]` int32, ids of n-grams, padded with 0. Each comes
            with `<field>_known` `[B]` bool.
          pictures: `[B, features]`, a critic's features of the albums' covers. With them, and where
            the collection `class_loss` is mutable, the module stores there a loss for each field:
            see `class_loss`. That needs the axis `data`.
        """
        reads = pictures is not None and self.is_mutable_collection(CLASS_LOSS)
        reads = reads and not self.is_initializing()
        embeddings, losses = {}, {}
        if "genres" in conditions:
            genres = conditions["genres"]
            table = self.param("genres", _normal, (genres.shape[-1], self.features))
            embeddings["genres"] = genres @ table
            if reads:
                losses["genres"] = class_loss(pictures, table, genres)
        if "year" in conditions:
            year = EqualizedDense(self.features, name="year")
            embeddings["year"] = year(year_waves(conditions["year"]))
            if reads:
                marks = year(year_waves(jnp.asarray(YEAR_MARKS)))
                losses["year"] = class_loss(pictures, marks, two_hot(conditions["year"]))
        texts = [field for field in ("artist", "title") if field in conditions]
        if texts:
            table = self.param("ngrams", _normal, (TEXT_BUCKETS, TEXT_FEATURES))
        for field in texts:
            text = leaky_relu(bag_of_ngrams(conditions[field]) @ table)
            embedding = embeddings[field] = EqualizedDense(self.features, name=field)(text)
            if reads:  # the classes are the names of the batch, on all devices
                table_of_names, names, present = (
                    jax.lax.all_gather(x, "data", tiled=True)
                    for x in (embedding, conditions[field], conditions[f"{field}_known"])
                )
                targets = same_names(conditions[field], names, present)
                losses[field] = class_loss(pictures, table_of_names, targets, present)

        total = 0.0
        for field, embedding in embeddings.items():
            known = conditions[f"{field}_known"]
            unknown = self.param(f"{field}_unknown", _normal, (self.features,))
            total += jnp.where(known[:, None], embedding, unknown)
            if reads:
                self.sow(
                    CLASS_LOSS, f"{field}_loss", jnp.mean(jnp.where(known, losses[field], 0.0))
                )
        return pixel_norm(total) if self.normalize else total


def year_waves(years: jax.Array) -> jax.Array:
    """Fourier features of scaled years, `[B]` to `[B, 10]`: similar for years that are close."""
    phases = years[:, None] * (2 * jnp.pi / jnp.array(YEAR_WAVELENGTHS))
    return jnp.concatenate([jnp.sin(phases), jnp.cos(phases)], axis=-1)


def two_hot(years: jax.Array) -> jax.Array:
    """Returns the weights of the two nearest of `YEAR_MARKS`, `[B]` to `[B, marks]`; linear."""
    spacing = float(YEAR_MARKS[1] - YEAR_MARKS[0])
    return jnp.clip(1 - jnp.abs(years[:, None] - YEAR_MARKS) / spacing, 0.0, 1.0)


def class_loss(
    pictures: jax.Array, table: jax.Array, targets: jax.Array, present: jax.Array | bool = True
) -> jax.Array:
    """Cross-entropy of the classes that a critic reads off pictures; `[B]`.

    The projection serves as a classifier: the logit of a class is its vector's term of the score,
    <features, vector> / sqrt(F). So what is told apart here is what raises the score, and there are
    no more parameters. AC-GAN (Odena et al. 2017, arXiv 1610.09585) has a classifier of its own.

    Args:
      pictures: `[B, F]`, the critic's features.
      table: `[K, F]`, the vectors of the classes.
      targets: `[B, K]`, weights that sum to 1.
      present: `[K]` bool, which rows of the table are classes.
    """
    logits = pictures @ table.T / pictures.shape[-1] ** 0.5
    logits = jnp.where(present, logits, NO_CLASS)
    return -jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)


def same_names(ids: jax.Array, every: jax.Array, present: jax.Array) -> jax.Array:
    """Returns targets `[B, N]` float32: for each name, equal shares of its like among N names.

    Args:
      ids: `[B, L]` int32, names as ids of n-grams.
      every: `[N, L]` int32.
      present: `[N]` bool; the others of the N are no names.
    """
    same = (jnp.all(ids[:, None] == every, axis=-1) & present).astype(jnp.float32)
    return same / jnp.maximum(jnp.sum(same, axis=-1, keepdims=True), 1.0)


def bag_of_ngrams(ids: jax.Array) -> jax.Array:
    """Turns ids `[B, L]` int32, padded with 0, into a bag of n-grams `[B, TEXT_BUCKETS]` float32.

    A value is the square root of an id's share of the row. Rows have unit length, and the root
    keeps common letters from dominating. The dense bag makes the lookup of vectors, and the
    gradient of their table, matrix products. A scatter-add would be slow on CPUs and would have no
    fixed order of summation on GPUs.
    """
    rows = jnp.arange(ids.shape[0])[:, None]
    counts = jnp.zeros((ids.shape[0], TEXT_BUCKETS)).at[rows, ids].add(1.0).at[:, 0].set(0.0)
    return jnp.sqrt(counts / jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True), 1.0))


def join_conditions(latents: jax.Array, conditions: Conditions, scale: float) -> jax.Array:
    """Appends the embedding to the latents, with the same width: a generator's input.

    Call it in a compact `__call__`: it creates the submodule `conditions`.

    Args:
      latents: `[B, Z]` float32.
      conditions: see `ConditionEmbedding`.
      scale: root mean square of the appended vector. At 1, half of what the generator sees is the
        condition, and it makes one cover for each.

    Returns:
      `[B, 2Z]`, or the latents themselves if there are no conditions.
    """
    if not conditions:
        return latents
    embed = ConditionEmbedding(latents.shape[-1], normalize=True, name="conditions")
    return jnp.concatenate([latents, scale * embed(conditions)], axis=-1)


def project_conditions(features: jax.Array, conditions: Conditions) -> jax.Array:
    """Returns the conditional term of a critic's score: the projection of Miyato and Koyama 2018.

    It is <features, embedding> (arXiv 1802.05637, eq. 4) divided by sqrt(F), as in
    stylegan2-ada-pytorch, training/networks.py. Call it in a compact `__call__`: it creates the
    submodule `conditions`, which stores the class losses of the pictures where that collection is
    mutable.

    Args:
      features: `[B, F]` float32, the critic's features of the pictures.
      conditions: see `ConditionEmbedding`.

    Returns:
      `[B]` float32, 0 if there are no conditions.
    """
    if not conditions:
        return jnp.zeros(features.shape[0])
    embed = ConditionEmbedding(features.shape[-1], name="conditions")
    return jnp.sum(features * embed(conditions, features), axis=-1) / features.shape[-1] ** 0.5
