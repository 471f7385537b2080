"""The command line as a user meets it: real processes where start-up, signals or exit status matter."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spikevision.cli.main import VERBS, main, message_of

RUN = [sys.executable, "-m", "spikevision.cli.main"]


def test_help_lists_every_verb_without_importing_torch():
    code = (
        "import sys\nfrom spikevision.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'mmengine', 'numpy', 'ray'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(re.search(rf"^\s+{verb}\s", done.stdout, re.M) for verb in VERBS)


def test_help_answers_in_half_a_second():
    times_s = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([*RUN, "--help"], capture_output=True, check=True)
        times_s.append(time.perf_counter() - begin)
    assert min(times_s) < 0.5


def test_each_verb_describes_itself(capsys):
    for verb in VERBS:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        assert "usage: spikevision " + verb in capsys.readouterr().out


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert re.fullmatch(r"spikevision \d+\.\d+\S*\n", capsys.readouterr().out)


def test_an_unknown_verb_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["trian"])
    assert ended.value.code == 2
    assert "train" in capsys.readouterr().err


def test_wrong_input_is_one_message_and_status_2(capsys):
    assert main(["train", "nowhere.py"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: config 'nowhere.py' does not exist")
    assert "Traceback" not in err


def test_debug_shows_the_traceback(capsys):
    assert main(["train", "nowhere.py", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_option_without_value_is_wrong_input(capsys):
    assert main(["train", "x.py", "--cfg-options", "seed"]) == 2
    assert "KEY=VALUE, got 'seed'" in capsys.readouterr().err


def test_the_error_of_a_data_loader_worker_is_its_last_line():
    error = ValueError(
        "Caught ValueError in worker\nTraceback (most recent call last):\n  x\nValueError: bad 'a.png'\n"
    )
    assert message_of(error) == "bad 'a.png'"


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_training_with_its_status_and_the_printed_command_goes_on(
    long_config, tmp_path, signum, status
):
    work_dir = tmp_path / "runs"
    command = [*RUN, "train", str(long_config), "--work-dir", str(work_dir), "--spike-stats"]
    process = subprocess.Popen(
        [*command, "--cfg-options", "train_dataloader.num_workers=2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Epoch(train)" in line:
            os.killpg(process.pid, signum)  # as a terminal does: data loader workers get it too
            break
    lines.append(process.communicate(timeout=60)[0])
    assert process.returncode == status, "".join(lines)[-3000:]
    told = re.search(r"stopped; go on with: spikevision train (.*)", "".join(lines)).group(1)
    assert list(work_dir.glob("*/interrupted.pth"))
    assert "--spike-stats" in told
    again = [*RUN, "train", *told.split(), "train_cfg.max_epochs=1"]
    done = subprocess.run(again, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "finished; run folder" in done.stdout
    assert len(list(work_dir.iterdir())) == 1


@pytest.mark.slow
def test_test_and_infer_print_where_their_results_are(long_config, tmp_path, capsys):
    common = ["--work-dir", str(tmp_path / "runs")]
    small = ["--cfg-options", "train_cfg.max_epochs=1", "train_dataloader.num_batch_per_epoch=3"]
    assert main(["train", str(long_config), *common, "--spike-stats", *small]) == 0
    shown = capsys.readouterr().out
    assert "accuracy/top1" in shown
    assert "spikevision report " in shown
    checkpoint = str(next((tmp_path / "runs").rglob("epoch_1.pth")))
    assert main(["test", str(long_config), checkpoint, *common]) == 0
    assert re.search(r"^accuracy/top1 +[\d.]+ %$", capsys.readouterr().out, re.M)


@pytest.mark.parametrize("door", ["train", "test"])
def test_the_openmmlab_doors_lead_to_the_same_verbs(door):
    root = Path(__file__).parents[2]
    command = [sys.executable, str(root / "tools" / f"{door}.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"usage: spikevision {door}" in done.stdout
