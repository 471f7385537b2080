import pytest
import torch

from spikevision.ops import encode_direct


def test_a_still_image_is_shown_at_every_time_step_without_a_copy():
    images = torch.randn(2, 3, 4, 4)
    x = encode_direct(images, 5)
    assert x.shape == (5, 2, 3, 4, 4)
    assert x.data_ptr() == images.data_ptr()
    assert all(torch.equal(step, images) for step in x)


def test_event_frames_come_time_first():
    frames = torch.randn(2, 5, 3, 4, 4)
    x = encode_direct(frames, 5)
    assert x.shape == (5, 2, 3, 4, 4)
    assert torch.equal(x[3, 1], frames[1, 3])


def test_event_frames_of_another_length_are_refused():
    with pytest.raises(ValueError, match="hold 5 time steps.*runs 4.*time_steps=5"):
        encode_direct(torch.zeros(2, 5, 3, 4, 4), 4)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 2, 3, 4, 5, 6)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="expected images"):
        encode_direct(torch.zeros(shape), 4)


def test_time_steps_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        encode_direct(torch.zeros(2, 3, 4, 4), 0)
