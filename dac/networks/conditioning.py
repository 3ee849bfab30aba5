"""Conditions as the networks read them: what is known of an album becomes a vector."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.covers.conditions import TEXT_BUCKETS
from dac.networks.layers import EqualizedDense, leaky_relu, pixel_norm

# Arrays by name, as returned by `dac.covers.conditions.encode`, with an optional `weight`; empty
# for an unconditional network.
Conditions = dict[str, jax.Array]

# Wavelengths of a year's Fourier features, in units of the scaled year: octaves from 480 years,
# which is longer than the range of valid years, down to 30 years.
YEAR_WAVELENGTHS = (16.0, 8.0, 4.0, 2.0, 1.0)
TEXT_FEATURES = 64  # width of the vectors of character n-grams

_normal = nn.initializers.normal(1.0)


class ConditionEmbedding(nn.Module):
    """Embeds what is known of each album as the sum of one vector per field; `[B, features]`.

    Each field's vector starts with about unit variance. A field that is not known contributes a
    learned vector of its own.

    Attributes:
      features: width of the embedding.
      normalize: whether to scale the sum to unit mean square, before `weight` is applied.
    """

    features: int
    normalize: bool = False

    @nn.compact
    def __call__(self, conditions: Conditions) -> jax.Array:
        """Embeds the given fields; there must be at least one.

        Args:
          conditions: any of `genres` `[B, G]` float32, whose rows sum to 1; `year` `[B]` float32,
            scaled; `artist` and `title` `[B, L]` int32, ids of n-grams, padded with 0. Each comes
            with `<field>_known` `[B]` bool. `weight` `[B]` float32 scales the sum; 1 if missing.
        """
        embeddings = {}
        if "genres" in conditions:
            genres = conditions["genres"]
            table = self.param("genres", _normal, (genres.shape[-1], self.features))
            embeddings["genres"] = genres @ table
        if "year" in conditions:
            waves = year_waves(conditions["year"])
            embeddings["year"] = EqualizedDense(self.features, name="year")(waves)
        texts = [field for field in ("artist", "title") if field in conditions]
        if texts:
            table = self.param("ngrams", _normal, (TEXT_BUCKETS, TEXT_FEATURES))
        for field in texts:
            text = leaky_relu(bag_of_ngrams(conditions[field]) @ table)
            embeddings[field] = EqualizedDense(self.features, name=field)(text)

        total = 0.0
        for field, embedding in embeddings.items():
            unknown = self.param(f"{field}_unknown", _normal, (self.features,))
            total += jnp.where(conditions[f"{field}_known"][:, None], embedding, unknown)
        if self.normalize:
            total = pixel_norm(total)
        return total * conditions["weight"][:, None] if "weight" in conditions else total


def year_waves(years: jax.Array) -> jax.Array:
    """Fourier features of scaled years, `[B]` to `[B, 10]`: similar for years that are close."""
    phases = years[:, None] * (2 * jnp.pi / jnp.array(YEAR_WAVELENGTHS))
    return jnp.concatenate([jnp.sin(phases), jnp.cos(phases)], axis=-1)


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


def join_conditions(latents: jax.Array, conditions: Conditions) -> jax.Array:
    """Appends the normalised embedding to the latents, with the same width: a generator's input.

    Call it in a compact `__call__`: it creates the submodule `conditions`.

    Args:
      latents: `[B, Z]` float32.
      conditions: see `ConditionEmbedding`.

    Returns:
      `[B, 2Z]`, or the latents themselves if there are no conditions.
    """
    if not conditions:
        return latents
    embed = ConditionEmbedding(latents.shape[-1], normalize=True, name="conditions")
    return jnp.concatenate([latents, embed(conditions)], axis=-1)


def project_conditions(features: jax.Array, conditions: Conditions) -> jax.Array:
    """Returns the conditional term of a critic's score: the projection of Miyato and Koyama 2018.

    It is <features, embedding> (arXiv 1802.05637, eq. 4) divided by sqrt(F), as in
    stylegan2-ada-pytorch, training/networks.py. Call it in a compact `__call__`: it creates the
    submodule `conditions`.

    Args:
      features: `[B, F]` float32, the critic's features of the pictures.
      conditions: see `ConditionEmbedding`.

    Returns:
      `[B]` float32, 0 if there are no conditions.
    """
    if not conditions:
        return jnp.zeros(features.shape[0])
    embedding = ConditionEmbedding(features.shape[-1], name="conditions")(conditions)
    return jnp.sum(features * embedding, axis=-1) / features.shape[-1] ** 0.5
