"""Published prompts, and those of a file."""

import pytest

from spikevision.checkpoints.clip_prompts import prompt_templates


def test_published_sets_have_the_numbers_of_the_paper():
    imagenet, cifar = prompt_templates("imagenet"), prompt_templates("cifar")
    assert (len(set(imagenet)), len(set(cifar))) == (80, 18)
    assert all("{}" in prompt for prompt in imagenet + cifar)
    assert {"a photo of a {}.", "a bad photo of the {}.", "a photo of the big {}."} <= set(cifar)
    assert prompt_templates("plain") == ["a photo of a {}."]


def test_a_name_that_is_no_set_and_no_file_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="prompts are one of imagenet, cifar, plain or a text file"
    ):
        prompt_templates("imagenets")
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="holds no prompts"):
        prompt_templates(str(tmp_path / "empty.txt"))
