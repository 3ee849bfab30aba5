import itertools

import numpy as np
import pytest
from scipy import stats

from dac.metrics.adherence import genre_adherence, year_adherence

GENRES = 5


def scores_for(genres, strength, random):
    """Scores of a classifier that is right as often as the strength lets it."""
    return random.normal(size=(len(genres), GENRES)) + strength * np.eye(GENRES)[genres]


def asked(genres):
    return np.eye(GENRES, dtype=bool)[genres]


def test_auc_is_the_probability_that_a_cover_of_the_genre_scores_higher():
    random = np.random.default_rng(0)
    scores, wanted = random.integers(0, 4, (60, 3)), random.random((60, 3)) < 0.4  # ties
    found = genre_adherence(scores, wanted)
    for genre in range(3):
        pairs = [
            (scores[i, genre] > scores[j, genre]) + 0.5 * (scores[i, genre] == scores[j, genre])
            for i, j in itertools.product(range(60), repeat=2)
            if wanted[i, genre] and not wanted[j, genre]
        ]
        assert found.by_genre[genre] == pytest.approx(np.mean(pairs))
    assert found.auc == pytest.approx(np.mean(list(found.by_genre.values())))
    assert found.top1 == np.mean(wanted[np.arange(60), scores.argmax(axis=1)])


def test_what_all_covers_share_cancels_out():
    """A shift that sends all covers to one genre ruins the top-1 accuracy, but not the AUC."""
    random = np.random.default_rng(0)
    genres = np.arange(500) % GENRES
    scores = scores_for(genres, 1.5, random)
    shifted = genre_adherence(scores + 9 * np.eye(GENRES)[0], asked(genres))
    assert shifted.top1 == 0.2
    assert shifted.shown
    assert shifted.auc == genre_adherence(scores, asked(genres)).auc > 0.7


def test_relabelled_covers_are_not_shown():
    """Whatever the covers are: a classifier that reads all genres right, and shuffled requests."""
    random = np.random.default_rng(0)
    genres = np.arange(500) % GENRES
    for strength in (0, 1, 10):
        scores = scores_for(genres, strength, random)
        shown = [
            genre_adherence(scores, asked(random.permutation(genres)), seed).shown
            for seed in range(100)
        ]
        assert sum(shown) <= 5


def test_a_generator_of_other_motifs_for_each_genre_is_not_shown():
    """Covers of a genre move together, to somewhere that has nothing to do with the genre."""
    genres = np.arange(500) % GENRES
    verdicts = []
    for seed in range(100):
        random = np.random.default_rng(seed)
        motifs = random.normal(size=(GENRES, GENRES))
        scores = motifs[genres] + random.normal(size=(500, GENRES))
        verdicts.append(genre_adherence(scores, asked(genres), seed))
    assert sum(v.z > 3.1 for v in verdicts) > 20  # shuffling the covers alone would be fooled
    assert sum(v.shown for v in verdicts) <= 6
    assert any("other namings" in v.verdict for v in verdicts)


def test_shuffled_scores_are_standard_normal():
    random = np.random.default_rng(0)
    genres = np.arange(300) % GENRES
    scores = random.normal(size=(300, GENRES))
    zs = [genre_adherence(scores, asked(random.permutation(genres)), s).z for s in range(200)]
    assert abs(np.mean(zs)) < 0.2
    assert 0.85 < np.std(zs) < 1.15


def test_few_genres_and_constant_covers_get_no_certain_verdict():
    random = np.random.default_rng(0)
    two = np.arange(200) % 2
    found = genre_adherence(scores_for(two, 3, random)[:, :2], asked(two)[:, :2])
    assert not found.shown
    assert found.verdict == "not certain: with 2 genres, only more seeds can tell"
    constant = genre_adherence(np.zeros((200, GENRES)), asked(np.arange(200) % GENRES))
    assert (constant.auc, constant.z) == (0.5, 0)
    assert constant.verdict == "not shown (z = 0.0)"
    assert genre_adherence(np.zeros((9, 2)), asked(np.arange(9) % 2)[:, :2]) is None


def test_all_of_many_genres_are_tested():
    count = 60
    genres = np.arange(count * 12) % count
    random = np.random.default_rng(0)
    scores = random.normal(size=(len(genres), count)) + 2 * np.eye(count)[genres]
    found = genre_adherence(scores, np.eye(count, dtype=bool)[genres])
    assert len(found.by_genre) == count
    assert found.shown


def test_years():
    random = np.random.default_rng(0)
    wanted = np.linspace(1950, 2025, 300)
    right = year_adherence(wanted + random.normal(0, 5, 300), wanted)
    assert right.shown
    assert right.slope == pytest.approx(1, abs=0.05)
    assert right.correlation > 0.9
    assert right.near == pytest.approx(stats.norm.cdf(2) - stats.norm.cdf(-2), abs=0.05)
    ignoring = year_adherence(random.permutation(wanted), wanted)
    assert ignoring.verdict.startswith("not shown")
    backwards, constant = year_adherence(-wanted, wanted), year_adherence(wanted * 0, wanted)
    assert not backwards.shown
    assert (constant.correlation, constant.p) == (0, 1)
    years = [year_adherence(random.permutation(wanted), wanted).shown for _ in range(300)]
    assert sum(years) <= 2
