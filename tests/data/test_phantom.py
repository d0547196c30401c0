"""Phantom tissue: deterministic, balanced, physically mixed, and harder where it should be."""

import numpy as np
import pytest

from preceptor.data.phantom_shapes import Canvas, blobs, vacuoles
from preceptor.data.phantom_tissue import TISSUES
from preceptor.data.sources.phantom import NAMES, phantom
from preceptor.data.stains import EOSIN, HAEMATOXYLIN, stain_basis
from preceptor.errors import UserError
from preceptor.randomness import generator


def test_table_of_a_classification():
    table = phantom(images=80, patients=4, size=16)
    assert len(table) == 80
    assert table.classes == NAMES
    assert table.frame["id"].is_unique
    assert (np.bincount(table.frame["label"]) == 10).all()
    assert set(table.frame["group"].unique()) == {f"phantom-patient-{number:04d}" for number in range(4)}
    assert table.grouping == "phantom patient"
    assert table.files(0) == ()


def test_every_patient_has_every_class():
    table = phantom(images=96, patients=3, size=16)
    assert (table.frame.groupby("group")["label"].nunique() == 8).all()


def test_picture_depends_on_seed_and_number_only():
    few, many = phantom(images=8, size=24, patients=40), phantom(images=200, size=24, patients=40)
    many.read(100)
    first, _ = few.read(5)
    again, _ = many.read(5)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (24, 24, 3)
    assert first.dtype == np.uint8
    other, _ = phantom(images=8, size=24, seed=1).read(5)
    assert not np.array_equal(first, other)


def test_segmentation_has_masks_of_two_classes():
    table = phantom(task="segmentation", images=12, size=64)
    assert table.classes == ("background", "tumour")
    assert (table.frame["label"] == -1).all()
    shares = []
    for row in range(12):
        image, mask = table.read(row)
        assert mask is not None
        assert mask.shape == image.shape[:2]
        assert set(np.unique(mask)) <= {0, 1}
        shares.append(mask.mean())
    assert 0.1 < np.mean(shares) < 0.6


def test_tumour_is_darker_in_the_red_than_what_is_around_it():
    """Haematoxylin takes up red, eosin does not: the mask marks where the crowded nuclei are."""
    table = phantom(task="segmentation", images=30, size=64, difficulty=0.2)
    inside, outside = [], []
    for row in range(30):
        image, mask = table.read(row)
        assert mask is not None
        inside.append(image[mask == 1, 0])
        outside.append(image[mask == 0, 0])
    assert np.concatenate(inside).mean() < np.concatenate(outside).mean() - 20


def test_light_follows_beer_and_lambert():
    """Without noise, the density of a stroma picture lies in the plane of the two stains."""
    image, _ = phantom(images=2, size=64, difficulty=0).read(1)
    density = -np.log((image.reshape(-1, 3) + 1.0) / 250)
    amounts = density @ np.linalg.inv(stain_basis())
    assert np.median(amounts[:, 1]) > 3 * np.median(np.abs(amounts[:, 2]))  # eosin against neither
    assert np.median(amounts[:, 1]) > 2 * np.median(amounts[:, 0])  # stroma is pink


def test_stain_basis_is_the_published_one():
    basis = stain_basis()
    np.testing.assert_allclose(basis[0] * np.linalg.norm(HAEMATOXYLIN), HAEMATOXYLIN)
    np.testing.assert_allclose(basis[1] * np.linalg.norm(EOSIN), EOSIN)
    np.testing.assert_allclose(np.linalg.norm(basis, axis=1), 1)
    np.testing.assert_allclose(basis[2] @ basis[:2].T, 0, atol=1e-12)


def test_patients_differ_more_when_it_is_harder():
    def spread(difficulty: float) -> float:
        table = phantom(images=160, patients=20, size=16, difficulty=difficulty)
        means = [table.read(row)[0].mean(axis=(0, 1)) for row in range(1, 160, 8)]  # one of stroma per patient
        return float(np.std(means, axis=0).mean())

    assert spread(0.0) < spread(0.5) < spread(1.0)


@pytest.mark.parametrize("kind", list(TISSUES))
@pytest.mark.parametrize("pixels", [16, 50])
def test_every_tissue_draws_finite_stain_at_any_size(kind, pixels):
    for shift in (-1.0, 0.0, 1.0):
        for part in TISSUES[kind](Canvas(generator(kind), pixels, 60.0), shift):
            assert part.shape == (pixels, pixels)
            assert np.isfinite(part).all()


def test_blob_has_its_area():
    """A disc of radius 10 covers pi * 100 square micrometres, at two resolutions."""
    one = np.ones(1, dtype=np.float32)
    for pixels in (60, 120):
        canvas = Canvas(generator(0), pixels, 60.0)
        field = blobs(canvas, np.array([[30, 31]], dtype=np.float32), 10 * one, 2 * one, 0.3 * one, one)
        assert field.sum() / canvas.unit**2 == pytest.approx(np.pi * 100, rel=0.01)


def test_blob_at_the_border_is_cut_off():
    one = np.ones(1, dtype=np.float32)
    canvas = Canvas(generator(0), 60, 60.0)
    field = blobs(canvas, np.array([[0, 30]], dtype=np.float32), 10 * one, one, one, one)
    assert field.sum() == pytest.approx(np.pi * 50, rel=0.02)


def test_walls_run_half_way_between_cells():
    field = vacuoles(Canvas(generator(1), 64, 60.0), 20.0, 1.5)
    assert 0.02 < (field > 0.5).mean() < 0.4


def test_noise_has_unit_spread():
    canvas = Canvas(generator(2), 64, 60.0)
    assert np.std([canvas.noise(6) for _ in range(40)]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "wrong", [{"images": 0}, {"size": 8}, {"patients": 0}, {"classes": 9}, {"classes": 1}, {"difficulty": 1.5}]
)
def test_a_value_out_of_range_is_named(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"phantom: {name} is "):
        phantom(**wrong)


def test_a_path_is_refused(tmp_path):
    with pytest.raises(UserError, match="Leave out `path`"):
        phantom(tmp_path)
