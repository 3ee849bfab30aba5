import numpy as np
import pytest

from dac.metrics.copies import find_copies


@pytest.fixture
def real():
    random = np.random.default_rng(0)
    return random.normal(size=(430, 16)), random.normal(size=(100, 16))


def test_new_covers_are_no_copies(real):
    training, held_out = real
    found = find_copies(np.random.default_rng(1).normal(size=(300, 16)), training, held_out)
    assert found.ratio == pytest.approx(1, abs=0.03)
    assert found.nearer == pytest.approx(0.5, abs=0.05)
    assert found.verdict.startswith("no copies")


def test_copies_are_rarely_seen_where_there_are_none():
    """Few real covers: the distance to them depends on which they are."""
    found = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        sets = (random.normal(size=(n, 3)) for n in (200, 64, 16))
        found.append(find_copies(*sets))
    assert sum(copies.ratio < 0.95 for copies in found) > 10
    assert sum(copies.verdict.startswith("copies") for copies in found) <= 3


def test_copies_of_any_training_cover_are_found(real):
    training, held_out = real
    chosen = np.random.default_rng(1).integers(len(training), size=300)
    near = training[chosen] + np.random.default_rng(2).normal(0, 0.05, (300, 16))
    found = find_copies(near, training, held_out, pairs=50)
    assert found.ratio < 0.9
    assert found.p < 0.01
    assert found.verdict.startswith("copies: nearer to training")
    assert len(found.pairs) == len({seen for _, seen in found.pairs}) == 50
    assert all(chosen[made] == seen for made, seen in found.pairs)
    distances = [np.linalg.norm(near[made] - training[seen]) for made, seen in found.pairs]
    assert distances == sorted(distances)


def test_sizes_of_the_sets_do_not_matter(real):
    training, held_out = real
    generated = np.random.default_rng(1).normal(size=(200, 16))
    few = find_copies(generated, held_out, training)  # fewer training covers than held-out ones
    assert few.ratio == pytest.approx(1, abs=0.05)
    all_alike = find_copies(np.zeros((9, 2)), np.zeros((20, 2)), np.zeros((8, 2)))
    assert (all_alike.ratio, all_alike.nearer) == (1, 0.5)
    assert len(all_alike.pairs) == 1
