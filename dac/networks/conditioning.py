"""What is known of an album, as a vector for either player."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from dac.covers.conditions import TEXT_BUCKETS
from dac.networks.layers import EqualizedDense, leaky_relu, pixel_norm

# Arrays by name, as `dac.covers.conditions.encode` gives them, and maybe `weight`; empty for an
# unconditional network.
Conditions = dict[str, jax.Array]

# Of the waves that a year is read by, in units of the scaled year: from 480 years, longer than all
# the years that a cover can have, by octaves to 30 years.
YEAR_WAVELENGTHS = (16.0, 8.0, 4.0, 2.0, 1.0)
TEXT_FEATURES = 64  # width of the vectors of character n-grams

_normal = nn.initializers.normal(1.0)


class ConditionEmbedding(nn.Module):
    """Embeds what is known of each album: the sum of a vector for each field; `[B, features]`.

    Each field's vector starts at about unit variance. Where a field is not known, a vector of its
    own that is learned stands in its place.

    Attributes:
      features: width of the embedding.
      normalize: whether to scale it to unit mean square, before `weight`.
    """

    features: int
    normalize: bool = False

    @nn.compact
    def __call__(self, conditions: Conditions) -> jax.Array:
        """Embeds the fields that are there, at least one.

        Args:
          conditions: some of `genres` `[B, G]` float32, rows that sum to 1; `year` `[B]` float32,
            scaled; `artist` and `title` `[B, L]` int32, ids of n-grams, 0 for none; each with
            `<field>_known` `[B]` bool; and `weight` `[B]` float32, of the whole, 1 where missing.
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
    """Fourier features of scaled years, `[B]` to `[B, 10]`: near years are alike, none the same."""
    phases = years[:, None] * (2 * jnp.pi / jnp.array(YEAR_WAVELENGTHS))
    return jnp.concatenate([jnp.sin(phases), jnp.cos(phases)], axis=-1)


def bag_of_ngrams(ids: jax.Array) -> jax.Array:
    """Counts the ids in each row but 0, `[B, L]` int32; returns `[B, TEXT_BUCKETS]` float32.

    The roots of the shares: rows of unit length, in which a common letter does not drown the rest.
    Times a table of vectors this gives their weighted sum, and the table's gradient is a product,
    too: to add up those of single n-grams takes long on CPUs, and has no fixed order on GPUs.
    """
    rows = jnp.arange(ids.shape[0])[:, None]
    counts = jnp.zeros((ids.shape[0], TEXT_BUCKETS)).at[rows, ids].add(1.0).at[:, 0].set(0.0)
    return jnp.sqrt(counts / jnp.maximum(jnp.sum(counts, axis=-1, keepdims=True), 1.0))


def join_conditions(latents: jax.Array, conditions: Conditions) -> jax.Array:
    """Appends the normalised embedding to latents, as wide as they are; a generator's input.

    To be called in a compact `__call__`; it makes the submodule `conditions`.

    Args:
      latents: `[B, Z]` float32.
      conditions: see `ConditionEmbedding`.

    Returns:
      `[B, 2Z]`, or the latents alone where there are no conditions.
    """
    if not conditions:
        return latents
    embed = ConditionEmbedding(latents.shape[-1], normalize=True, name="conditions")
    return jnp.concatenate([latents, embed(conditions)], axis=-1)


def project_conditions(features: jax.Array, conditions: Conditions) -> jax.Array:
    """What the conditions add to a critic's score: the projection of Miyato and Koyama 2018.

    <features, embedding> (arXiv 1802.05637, eq. 4), by 1/sqrt(F) as in stylegan2-ada-pytorch,
    training/networks.py. To be called in a compact `__call__`; it makes the submodule `conditions`.

    Args:
      features: `[B, F]` float32, of pictures.
      conditions: see `ConditionEmbedding`.

    Returns:
      `[B]` float32, 0 where there are no conditions.
    """
    if not conditions:
        return jnp.zeros(features.shape[0])
    embedding = ConditionEmbedding(features.shape[-1], name="conditions")(conditions)
    return jnp.sum(features * embedding, axis=-1) / features.shape[-1] ** 0.5
