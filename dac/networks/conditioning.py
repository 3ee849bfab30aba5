"""What is known of an album, as a vector for either player."""

import flax.linen as nn
import jax
import jax.numpy as jnp

Conditions = dict[str, jax.Array]


class ConditionEmbedding(nn.Module):
    """Embeds the genres of each album; `[B, features]`.

    An album's vector is the weighted mean of the vectors of its genres. Where the genres are not
    known, it is a vector of its own that is learned in their place.
    """

    features: int

    @nn.compact
    def __call__(self, conditions: Conditions) -> jax.Array:
        """Embeds `genres` `[B, G]` float32, rows that sum to 1, and `genres_known` `[B]` bool."""
        genres = conditions["genres"]
        normal = nn.initializers.normal(1.0)
        table = self.param("genres", normal, (genres.shape[-1], self.features))
        unknown = self.param("genres_unknown", normal, (self.features,))
        return jnp.where(conditions["genres_known"][:, None], genres @ table, unknown)
