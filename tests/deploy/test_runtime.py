import copy
import json
import shutil
import subprocess
import sys
from unittest.mock import patch

import pytest
import torch

from spikevision.deploy import compare, load
from spikevision.deploy.card import CARD, PROGRAM
from spikevision.neurons import SpikingNeuron
from spikevision.ops import neuron_backend

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deployed(made):
    return load(made.folder)


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def copy_of(made, tmp_path, **changes):
    """A copy of the artefact whose card says something else."""
    folder = tmp_path / "copy"
    shutil.copytree(made.folder, folder)
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))
    return folder


def test_the_artefact_answers_as_the_network_does_with_our_neurons_in_it(made, deployed):
    found = compare(made.network, deployed, [made.images])
    assert found.largest_difference < 1e-5 < found.output_scale
    assert max(found.differing_spikes.values()) == 0
    names = {n for n, m in made.network.named_modules() if isinstance(m, SpikingNeuron)}
    assert set(found.differing_spikes) == names
    assert found.same_answer == 1


def test_a_copy_of_a_model_that_holds_it_answers_alike(made, deployed):
    copied = copy.deepcopy(torch.nn.Sequential(deployed))
    assert torch.equal(copied(made.images), deployed(made.images))


def test_any_number_of_images_passes(made, deployed):
    torch.testing.assert_close(deployed(made.images[:1]), deployed(made.images)[:1])
    assert deployed(made.images.repeat(3, 1, 1, 1)).shape == (12, 5)


def test_without_a_compiler_the_answer_is_the_same(made, deployed):
    expected = deployed(made.images)
    with neuron_backend("chunked"):
        assert torch.equal(deployed(made.images), expected)


def test_a_process_without_this_package_loads_and_runs_the_program(made, tmp_path):
    torch.save(made.images, tmp_path / "images.pt")
    code = (
        "import sys, torch\n"
        "sys.modules['spikevision'] = None\n"  # an import of it raises ImportError
        "program, images, answer = sys.argv[1:]\n"
        "module = torch.export.load(program).module()\n"
        "torch.save(module(torch.load(images, weights_only=True)), answer)\n"
    )
    paths = [str(made.folder / PROGRAM), str(tmp_path / "images.pt"), str(tmp_path / "answer.pt")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, cwd=tmp_path)
    answer = torch.load(tmp_path / "answer.pt", weights_only=True)
    torch.testing.assert_close(answer, made.network(made.images), rtol=0, atol=1e-5)


def test_int8_weights_answer_nearly_alike_with_and_without_integer_kernels(made_int8):
    deployed = load(made_int8.folder)
    plain = torch.export.load(made_int8.folder / PROGRAM).module()(made_int8.images)
    torch.testing.assert_close(deployed(made_int8.images), plain, rtol=0, atol=0.05)
    assert int((deployed(made_int8.images).argmax(1) == plain.argmax(1)).sum()) >= 3


def test_images_of_another_size_are_refused_with_the_size_wanted(deployed):
    with pytest.raises(ValueError, match="3 x 16 x 16, got 3 x 32 x 32"):
        deployed(torch.zeros(1, 3, 32, 32))


def test_an_artefact_of_another_format_is_refused(made, tmp_path):
    folder = copy_of(made, tmp_path, format=99, versions={"spikevision": "9.9"})
    with pytest.raises(
        ValueError, match=r"format 99 of spikevision 9\.9.*deploy the checkpoint again"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 1, "par', "is no JSON, perhaps cut short"),
        ("[]", "holds no card but a list"),
    ],
)
def test_a_card_that_is_cut_short_or_something_else_is_refused(made, tmp_path, content, message):
    folder = copy_of(made, tmp_path)
    (folder / CARD).write_text(content)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_a_card_without_what_loading_needs_is_refused(made, tmp_path):
    folder = copy_of(made, tmp_path)
    card = json.loads((folder / CARD).read_text())
    del card["parts"]
    (folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"lacks \['parts'\]"):
        load(folder)


def test_a_program_that_is_not_the_card_s_is_refused(made, tmp_path):
    folder = copy_of(made, tmp_path)
    with open(folder / PROGRAM, "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="not the program that its card describes"):
        load(folder)


def test_a_missing_program_is_named(made, tmp_path):
    folder = copy_of(made, tmp_path)
    (folder / PROGRAM).unlink()
    with pytest.raises(FileNotFoundError, match=PROGRAM):
        load(folder)


@pytest.mark.filterwarnings("default")
def test_on_another_instruction_set_measured_choices_are_dropped_and_answers_stay(made, deployed):
    expected = deployed(made.images)
    with (
        patch("platform.machine", return_value="aarch64"),
        pytest.warns(
            RuntimeWarning, match="this is aarch64: the choices measured there are not used"
        ),
    ):
        elsewhere = load(made.folder)
    assert elsewhere.card["choices"]["kernels"] == {}
    torch.testing.assert_close(elsewhere(made.images), expected, rtol=0, atol=1e-5)
