"""The bar of long work."""

from spikevision.jobs.progress import progress


def test_where_the_error_output_is_no_terminal_nothing_is_drawn(capsys):
    with progress() as bar:
        line = bar.add_task("measuring", total=2)
        bar.advance(line)
    assert bar.disable
    assert bar.tasks[0].completed == 1
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_bar_names_the_work_and_counts(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the output for a terminal
    monkeypatch.setenv("COLUMNS", "100")
    with progress() as bar:
        line = bar.add_task("measuring", total=2)
        bar.advance(line)
        bar.refresh()
        shown = capsys.readouterr().err
    assert not bar.disable
    assert "measuring" in shown
    assert "1/2" in shown
