import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dac.covers.conditions import FIELDS, MAX_YEAR, MIN_YEAR, Album, encode, scale_year
from dac.networks.conditioning import (
    CLASS_LOSS,
    YEAR_MARKS,
    ConditionEmbedding,
    bag_of_ngrams,
    join_conditions,
    project_conditions,
    two_hot,
)
from data_pipeline.demo_covers.discography import GENRES, album_of

FEATURES = 64
KNOWN = Album({0: 1.0}, 1988, "Blödaxe", "Kill the Pit")
OTHERS = {
    "genres": Album({0: 0.5, 1: 0.5}, 1988, "Blödaxe", "Kill the Pit"),
    "year": Album({0: 1.0}, 1989, "Blödaxe", "Kill the Pit"),
    "artist": Album({0: 1.0}, 1988, "Blödaxes", "Kill the Pit"),
    "title": Album({0: 1.0}, 1988, "Blödaxe", "Kill the Pits"),
}


def embed(albums, fields=FIELDS, seed=0, **options):
    conditions = encode(albums, fields, len(GENRES))
    module = ConditionEmbedding(FEATURES, **options)
    return np.asarray(module.init_with_output(jax.random.key(seed), conditions)[0])


@pytest.fixture(scope="module")
def demo_albums():
    albums = [album_of(i) for i in range(256)]
    return [
        Album({GENRES.index(g): 1.0 for g in a.genres}, a.release_year, a.artist, a.title)
        for a in albums
    ]


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_has_unit_variance_at_initialization(field, demo_albums):
    """Approximately, whether known or unknown, so that no field dominates the sum."""
    for albums in (demo_albums, [Album()]):
        squares = [np.mean(embed(albums, (field,), seed) ** 2) for seed in range(4)]
        assert 0.75 < np.mean(squares) < 1.25


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_changes_the_embedding(field):
    one, other = embed([KNOWN, OTHERS[field]])
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("field", FIELDS)
def test_value_of_an_unknown_field_is_ignored(field):
    conditions = encode([KNOWN, OTHERS[field], OTHERS[field]], FIELDS, len(GENRES))
    conditions[f"{field}_known"] = np.array([False, False, True])
    module = ConditionEmbedding(FEATURES)
    variables = module.init(jax.random.key(0), conditions)
    first, second, known = np.asarray(module.apply(variables, conditions))
    np.testing.assert_array_equal(first, second)
    assert np.abs(known - first).max() > 0.1

    def loss(params):
        return jnp.sum(jnp.square(module.apply({"params": params}, conditions)))

    gradients = jax.grad(loss)(variables["params"])
    assert np.abs(gradients[f"{field}_unknown"]).max() > 0
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_close_years_have_similar_but_distinct_embeddings():
    years = embed([Album(year=year) for year in range(MIN_YEAR, MAX_YEAR + 1)], ("year",))
    unit = years / np.linalg.norm(years, axis=1, keepdims=True)
    cosines = unit @ unit.T
    by_distance = [np.diagonal(cosines, distance).mean() for distance in (1, 5, 10, 20)]
    assert by_distance[0] > 0.97
    assert by_distance == sorted(by_distance, reverse=True)
    assert by_distance[-1] < 0.6
    distances = np.linalg.norm(years[:, None] - years[None], axis=-1)
    assert distances[~np.eye(len(years), dtype=bool)].min() > 0.3


def test_artist_and_title_share_the_ngram_table_but_embed_differently():
    conditions = encode([Album(artist="Dub", title="Dub")], ("artist", "title"), 0)
    variables = ConditionEmbedding(FEATURES).init(jax.random.key(0), conditions)
    assert sum(p.shape[0] > 1000 for p in jax.tree.leaves(variables)) == 1
    artist, title = embed([Album(artist="Dub")]), embed([Album(title="Dub")])
    assert np.abs(artist - title).max() > 0.1


def test_bag_of_ngrams_has_square_roots_of_frequencies_without_padding():
    bag = np.asarray(bag_of_ngrams(jnp.array([[7, 9, 7, 7, 0, 0], [0, 0, 0, 0, 0, 0]])))
    assert {int(i): float(bag[0, i]) for i in np.flatnonzero(bag[0])} == pytest.approx(
        {7: 0.75**0.5, 9: 0.25**0.5}
    )
    assert not bag[1].any()


class Player(nn.Module):
    use: Callable

    @nn.compact
    def __call__(self, x, conditions):
        return self.use(x, conditions)


def test_join_appends_normalised_scaled_conditions_to_latents():
    conditions = encode([KNOWN, Album()], FIELDS, len(GENRES))
    latents = jax.random.normal(jax.random.key(1), (2, FEATURES))
    join = functools.partial(join_conditions, scale=0.25)
    joined, variables = Player(join).init_with_output(jax.random.key(0), latents, conditions)
    assert set(variables["params"]) == {"conditions"}
    np.testing.assert_array_equal(joined[:, :FEATURES], latents)
    norms = np.sqrt(np.mean(np.square(joined[:, FEATURES:]), axis=1))
    np.testing.assert_allclose(norms, 0.25, rtol=1e-5)


def test_projection_is_a_scaled_inner_product():
    conditions = encode([KNOWN, Album()], FIELDS, len(GENRES))
    features = jax.random.normal(jax.random.key(1), (2, FEATURES))
    scores, variables = Player(project_conditions).init_with_output(
        jax.random.key(0), features, conditions
    )
    module = ConditionEmbedding(FEATURES)
    embedding = module.apply({"params": variables["params"]["conditions"]}, conditions)
    np.testing.assert_allclose(scores, np.sum(features * embedding, axis=1) / 8, rtol=1e-4)


def test_without_conditions_there_are_no_parameters():
    x = jnp.ones((2, FEATURES))
    join = functools.partial(join_conditions, scale=1.0)
    joined, variables = Player(join).init_with_output(jax.random.key(0), x, {})
    np.testing.assert_array_equal(joined, x)
    assert not variables
    scores, variables = Player(project_conditions).init_with_output(jax.random.key(0), x, {})
    np.testing.assert_array_equal(scores, np.zeros(2))
    assert not variables


def test_two_hot_years_are_weighted_means_of_the_marks():
    years = np.arange(MIN_YEAR, MAX_YEAR + 1)
    weights = np.asarray(two_hot(jnp.asarray(scale_year(years))))
    assert ((weights > 1e-5).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(weights @ YEAR_MARKS, scale_year(years), atol=1e-4)


@pytest.mark.parametrize("field", FIELDS)
def test_the_class_loss_falls_where_features_agree_with_what_is_told(field):
    """Of three albums, two of them alike and the last one of unknown field."""
    albums = [KNOWN, OTHERS[field], KNOWN, Album()]
    conditions = encode(albums, (field,), len(GENRES))
    variables = Player(project_conditions).init(
        jax.random.key(0), jnp.zeros((4, FEATURES)), conditions
    )
    vectors = ConditionEmbedding(FEATURES).apply(
        {"params": variables["params"]["conditions"]}, conditions
    )

    def loss(features):
        def on_the_only_device(features):
            return Player(project_conditions).apply(
                variables, features, conditions, mutable=[CLASS_LOSS]
            )

        _, read = jax.vmap(on_the_only_device, axis_name="data")(features[None])
        return float(read[CLASS_LOSS]["conditions"][f"{field}_loss"][0][0])

    right, wrong = loss(5 * vectors), loss(-5 * vectors)
    assert 0 <= right < 0.75 * loss(0 * vectors) < 0.75 * wrong
    unknown = vectors.at[3].multiply(100.0)
    assert loss(5 * unknown) == right
