"""What holds for every config, whatever its task."""

import re
from pathlib import Path

import pytest
import yaml

from spikevision.jobs.config import load_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.py") if not {"_base_", "sweeps"} & set(p.parts))
TRAINED = [p for p in CONFIGS if not re.search(r"-t\d+_", p.stem)]  # the others convert, see test_conversion_configs.py
METAFILES = sorted((ROOT / "configs").rglob("metafile.yml"))
STATUSES = {"trained here", "official weights", "quoted from paper", "not trained yet"}
# <model>[_t<time steps>]_<GPUs>xb<batch per GPU>-<epochs>e or <iterations>k_<data>.py
NAME = re.compile(
    r"(?P<model>[a-z0-9-]+(?:_[a-z0-9-]+)*)"
    r"_(?P<gpus>\d+)xb(?P<batch>\d+)-(?P<length>\d+(?:e|k))_(?P<data>[a-z0-9-]+)"
)


def config_id(path: Path) -> str:
    return path.relative_to(ROOT / "configs").as_posix()


def entries(metafile: Path) -> list[dict]:
    return yaml.safe_load(metafile.read_text())["Models"]


def run_length(train_cfg) -> str:
    """Length as a config's name writes it."""
    if "max_iters" in train_cfg:
        return f"{train_cfg.max_iters // 1000}k"
    return f"{train_cfg.max_epochs}e"


@pytest.mark.parametrize("path", TRAINED, ids=config_id)
def test_name_says_the_time_steps_batch_and_length_that_the_config_holds(path):
    config = load_config(path)
    name = NAME.fullmatch(path.stem)
    assert name, f"{path.name} is not <model>[_t<T>]_<GPUs>xb<batch>-<length>_<data>.py"
    time_steps = config.model.get("student", config.model).backbone.get("time_steps")
    said = re.search(r"_t(\d+)_", path.name)
    assert (said and int(said[1])) == time_steps  # an ANN has none
    assert int(name["batch"]) == config.train_dataloader.batch_size
    assert name["length"] == run_length(config.train_cfg)
    if "auto_scale_lr" in config:
        assert int(name["gpus"]) * int(name["batch"]) == config.auto_scale_lr.base_batch_size


@pytest.mark.parametrize("metafile", METAFILES, ids=config_id)
def test_every_metafile_entry_has_its_config_and_a_status(metafile):
    for entry in entries(metafile):
        path = ROOT / entry["Config"]
        assert path in CONFIGS
        assert path.parent == metafile.parent
        assert entry["Name"] == path.stem
        assert entry["Status"] in STATUSES


@pytest.mark.parametrize("metafile", METAFILES, ids=config_id)
def test_what_is_quoted_is_called_quoted(metafile):
    """A figure of a paper never stands under the name of a measured one."""
    for entry in entries(metafile):
        metrics = [name for result in entry.get("Results", []) for name in result["Metrics"]]
        is_quoted = [name.startswith("Quoted ") for name in metrics]
        assert is_quoted == [entry["Status"] == "quoted from paper"] * len(metrics)


@pytest.mark.parametrize("folder", sorted({p.parent for p in CONFIGS}), ids=config_id)
def test_readme_of_the_folder_lists_every_config(folder):
    text = (folder / "README.md").read_text()
    assert [p.name for p in CONFIGS if p.parent == folder and f"`{p.name}`" not in text] == []
