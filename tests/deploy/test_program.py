import json
import pickle
import zipfile

import pytest

from spikevision.deploy.program import load_modules


def archive(tmp_path, name: str, content: bytes):
    path = tmp_path / "program.pt2"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"program/data/{name}", content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sample_inputs/model.pt", pickle.dumps(print)),
        ("constants/custom_obj_0", b""),
        (
            "weights/model_weights_config.json",
            json.dumps({"config": {"w": {"use_pickle": True}}}).encode(),
        ),
    ],
)
def test_a_program_with_a_pickle_that_may_run_code_is_refused(tmp_path, name, content):
    with pytest.raises(ValueError, match="pickles that may run code"):
        load_modules(archive(tmp_path, name, content))


def test_a_file_that_is_no_program_is_refused(tmp_path):
    path = tmp_path / "program.pt2"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no exported program"):
        load_modules(path)
