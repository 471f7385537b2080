import resource
import subprocess
import sys
import textwrap

import pytest

from spikevision.jobs.files import write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"good")
    limited = textwrap.dedent(f"""
        import resource, signal, sys
        from spikevision.jobs.files import write_atomically
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_atomically({str(path)!r}, b"x" * 5000)
        except OSError as error:
            sys.exit(7)
    """)
    assert subprocess.run([sys.executable, "-c", limited]).returncode == 7
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("save_best", [None, "accuracy/top1"])
def test_a_disk_that_fills_up_leaves_the_last_checkpoints_whole(spec, tmp_path, save_best):
    """The limit on file size lets small files through and fails each new checkpoint, as a full disk does."""
    script = tmp_path / "limited.py"
    script.write_text(
        textwrap.dedent(f"""
        import resource, signal, sys
        from mmengine.hooks import Hook
        from mmengine.registry import HOOKS
        from spikevision.jobs.spec import RunSpec
        from spikevision.jobs.train import train

        @HOOKS.register_module()
        class FillDisk(Hook):
            def before_train_epoch(self, runner):
                if runner.epoch == 1:
                    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        options = {{"custom_hooks": [{{"type": "FillDisk"}}],
                   "default_hooks.checkpoint.save_best": {save_best!r}}}
        try:
            train(RunSpec(config={spec().config!r}, work_dir={spec().work_dir!r}, cfg_options=options))
        except OSError as error:
            print(error)
            sys.exit(7)
        """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 7, done.stderr[-2000:]
    from spikevision.jobs.run_dir import find_resume_point
    from spikevision.jobs.train import train

    run_dir = next(tmp_path.glob("runs/*"))
    assert sorted(path.name for path in run_dir.glob("epoch_*.pth")) == ["epoch_1.pth"]
    assert len(list(run_dir.glob("best_*.pth"))) == (1 if save_best else 0)
    assert not list(run_dir.glob(".*.part"))
    assert find_resume_point(True, base=tmp_path / "runs").checkpoint.name == "epoch_1.pth"
    assert train(spec(resume=True)).status == "finished"


def test_of_several_epochs_only_the_last_and_the_best_are_kept(spec):
    from spikevision.jobs.train import train

    options = {"default_hooks.checkpoint.save_best": "accuracy/top1"}
    run_dir = train(spec(cfg_options=options)).run_dir
    assert [path.name for path in run_dir.glob("epoch_*.pth")] == ["epoch_3.pth"]
    assert len(list(run_dir.glob("best_*.pth"))) == 1
