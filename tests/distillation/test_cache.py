import torch

from spikevision.distillation.cache import AnswerCache, content_hash


def answer(value: float) -> dict:
    return {"0.0": torch.full((3,), value), "0.1": torch.tensor(7, dtype=torch.int32)}


def test_an_answer_comes_back_exactly(tmp_path):
    AnswerCache(tmp_path, max_gb=1).put("ab12", answer(0.1))
    found = AnswerCache(tmp_path, max_gb=1).get("ab12")
    assert {name: (value.dtype, value.tolist()) for name, value in found.items()} == {
        name: (value.dtype, value.tolist()) for name, value in answer(0.1).items()
    }
    assert AnswerCache(tmp_path, max_gb=1).get("ab13") is None


def test_the_key_sees_every_bit_the_shape_and_the_type():
    x = torch.zeros(2, 3)
    other = x.clone()
    other[1, 2] = 1e-45
    keys = [content_hash(y) for y in (x, other, x.view(3, 2), x.double(), x.t().contiguous())]
    assert len(set(keys)) == 4  # the last has the shape of the third
    assert content_hash(x) == content_hash(x.clone(memory_format=torch.contiguous_format))
    assert content_hash(torch.arange(6).view(2, 3).t()) != content_hash(torch.arange(6).view(3, 2))


def test_a_damaged_file_is_as_good_as_none_and_is_replaced(tmp_path):
    cache = AnswerCache(tmp_path, max_gb=1)
    cache.put("ab12", answer(1))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-3])
    assert cache.get("ab12") is None
    cache.put("ab12", answer(2))
    assert cache.get("ab12")["0.0"].tolist() == [2, 2, 2]


def test_the_folder_stays_within_its_bound(tmp_path):
    size_gb = 2.5 * 152e-9
    for start in (0, 3):  # the second cache counts what the first has left
        cache = AnswerCache(tmp_path, max_gb=size_gb)
        for index in range(start, start + 3):
            cache.put(f"ab{index}", answer(index))
    files = list(tmp_path.rglob("*"))
    assert sum(file.stat().st_size for file in files if file.is_file()) <= size_gb * 1e9
    assert 1 <= len([file for file in files if file.is_file()]) < 3
    assert not [file for file in files if file.suffix == ".part"]


def test_an_unwritable_folder_ends_the_caching_and_not_the_training(tmp_path):
    cache = AnswerCache(tmp_path / "c", max_gb=1)
    (tmp_path / "c" / "ab").write_text("a file where a folder should be")
    cache.put("ab12", answer(1))
    assert cache.get("ab12") is None
