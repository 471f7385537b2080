"""Tokens and class vectors of CLIP's text tower."""

import pytest
import torch
from small_clip import MERGES, VOCABULARY, write_vocabulary

from spikevision.checkpoints.clip_text import TextTower, Tokenizer, class_embeddings

PUBLISHED = [
    49406,
    320,
    1125,
    539,
    320,
    2368,
    269,
    49407,
]  # "a photo of a cat.", as the paper's code has it


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = write_vocabulary(tmp_path_factory.mktemp("text") / "merges.txt.gz")
    return Tokenizer(path, context=6)


@pytest.fixture(scope="module")
def tower():
    torch.manual_seed(0)
    return TextTower(VOCABULARY, width=64, layers=1, context=6, embed_dims=8).eval()


def test_the_published_vocabulary_is_at_hand():
    tokenizer = Tokenizer()
    assert tokenizer.size == 49408
    [tokens] = tokenizer(["A photo of  a cat."])
    assert tokens[: len(PUBLISHED)].tolist() == PUBLISHED
    assert len(tokens) == 77
    assert not tokens[len(PUBLISHED) :].any()


def test_merges_of_a_file_are_used_and_a_long_text_is_cut_before_its_end(small):
    assert small.size == 512 + len(MERGES) + 2
    assert small(["photo"]).tolist() == [[517, 515, 518, 0, 0, 0]]
    assert small(["photo of photo of photo of"]).tolist() == [[517, 515, 516, 515, 516, 518]]


def test_a_class_is_the_mean_direction_of_its_prompts(tower, small):
    found = class_embeddings(tower, small, ["photo", "of"], ["{} a", "a {}"])
    with torch.no_grad():
        one, two = tower(small(["of a", "a of"]))
    expected = one / one.norm() + two / two.norm()
    torch.testing.assert_close(found[1], expected / expected.norm())


def test_a_text_is_read_at_its_end_and_nothing_behind_it_counts(tower, small):
    tokens = small(["of a"])
    changed = tokens.clone()
    changed[0, 4:] = 7
    with torch.no_grad():
        torch.testing.assert_close(tower(changed), tower(tokens))


@pytest.mark.parametrize(
    ("classes", "prompts", "message"),
    [
        ([], ["{}"], "at least one class and one prompt"),
        (["a"], [], "at least one class and one prompt"),
        (["a"], ["a photo"], "where the name of the class goes, got 'a photo'"),
    ],
)
def test_classes_and_prompts_that_cannot_be_meant_are_refused(
    tower, small, classes, prompts, message
):
    with pytest.raises(ValueError, match=message):
        class_embeddings(tower, small, classes, prompts)


def test_a_vocabulary_of_another_model_or_none_is_refused(tower):
    with pytest.raises(ValueError, match="49408 tokens and the text tower knows 519"):
        class_embeddings(tower, Tokenizer(context=6), ["a"], ["{}"])
    with pytest.raises(FileNotFoundError, match="no vocabulary file 'nowhere'"):
        Tokenizer("nowhere")
