import numpy as np
import pytest

from dac.covers.dataset import CoverDataset, find_dataset
from dac.metrics import fidelity
from data_pipeline.demo_covers import drawing
from data_pipeline.demo_covers.discography import album_of


def test_accuracy_counts_any_of_a_covers_genres():
    assert fidelity.genre_accuracy(np.array([0, 1, 2, 2]), [[0], [0, 1], [1], [2]]) == 0.75


def test_it_reads_demo_covers_and_not_shuffled_labels(data_dir):
    dataset = CoverDataset(find_dataset(data_dir, "demo_covers", 16), 1.0)
    indices = np.arange(len(dataset))
    images, weights = dataset.images(indices, 16), dataset.labels(indices)["genres"]
    reader = fidelity.train_genre_reader(np.tile(images, (8, 1, 1, 1)), np.tile(weights, (8, 1)), 0)

    # Covers that are not in the dataset, which holds the first 64.
    albums = [album_of(i) for i in range(100, 180)]
    unseen = np.stack([np.asarray(drawing.draw_cover(a).reduce(4)) for a in albums])
    wanted = [[dataset.genres.index(genre) for genre in album.genres] for album in albums]
    assert fidelity.genre_accuracy(reader.read(unseen), wanted) >= 0.9
    others = [[(genre + 1) % 8 for genre in genres] for genres in wanted]
    assert fidelity.genre_accuracy(reader.read(unseen), others) <= 0.2


@pytest.mark.parametrize("count", [1, 300])
def test_it_reads_any_number_of_covers(count):
    images = np.zeros((8, 8, 8, 3), np.uint8)
    reader = fidelity.train_genre_reader(images, np.eye(8, 2, dtype=np.float32) + 0.1, 0)
    assert reader.read(np.zeros((count, 8, 8, 3), np.uint8)).shape == (count,)
