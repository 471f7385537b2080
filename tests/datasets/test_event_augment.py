import numpy as np
import pytest

from spikevision.datasets.event_augment import OPERATIONS, EventAugment

SIDE = 32


def image() -> np.ndarray:
    """Four channels alike, with counts in the middle."""
    frames = np.zeros((SIDE, SIDE, 4), dtype=np.float32)
    frames[12:20, 12:20] = np.arange(1, 65, dtype=np.float32).reshape(8, 8, 1)
    return frames


def apply(operation, magnitude, *, place=(0.5, 0.5), **settings) -> np.ndarray:
    transform = EventAugment(**settings)
    transform._draw = lambda: (operation, magnitude, place)
    return transform({"img": image()})["img"]


def test_the_identity_changes_nothing():
    assert np.array_equal(apply("identity", 1.0), image())


@pytest.mark.parametrize(("operation", "axis"), [("translate_x", 1), ("translate_y", 0)])
def test_a_shift_moves_all_frames_by_whole_pixels(operation, axis):
    assert np.array_equal(apply(operation, 0.6, translate_px=5), np.roll(image(), 3, axis=axis))


def test_a_quarter_turn_is_exact():
    turned = apply("rotate", 1.0, rotate_deg=90)
    assert np.array_equal(turned, np.rot90(image(), -1, axes=(0, 1)))


def test_a_shear_moves_rows_in_opposite_directions_and_keeps_the_middle():
    sheared = apply("shear", 1.0, shear=0.5)
    columns = [np.flatnonzero(sheared[row, :, 0]).mean() for row in (12, 15, 19)]
    assert abs(columns[0] - columns[2]) == pytest.approx(3.5, abs=1)
    assert columns[1] == pytest.approx(15.5, abs=1)


@pytest.mark.parametrize(("place", "zeros"), [((0.5, 0.5), 64), ((0.0, 0.0), 16), ((1.0, 1.0), 25)])
def test_a_cutout_is_a_square_that_the_border_cuts(place, zeros):
    transform = EventAugment(cutout_px=8)
    transform._draw = lambda: ("cutout", -1.0, place)
    cut = transform({"img": np.ones((SIDE, SIDE, 4), dtype=np.float32)})["img"]
    assert (cut == 0).all(-1).sum() == zeros


def test_every_operation_is_drawn_and_counts_stay_counts():
    np.random.seed(0)
    transform = EventAugment()
    drawn = {transform._draw()[0] for _ in range(200)}
    assert drawn == set(OPERATIONS)
    for _ in range(20):
        result = transform({"img": image()})["img"]
        assert result.dtype == np.float32
        assert set(np.unique(result)) <= set(range(65))


def test_a_negative_magnitude_is_refused():
    with pytest.raises(ValueError, match="negative"):
        EventAugment(shear=-1)
