import torch

from spikevision.jobs.train import train


def test_one_field_makes_two_runs_of_a_spiking_network_equal_bit_for_bit(spiking_spec):
    options = {"randomness": {"seed": 5, "deterministic": True}, "train_cfg.max_epochs": 1}
    try:
        runs = [train(spiking_spec(folder, cfg_options=options)) for folder in ("one", "two")]
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    first, second = (torch.load(run.checkpoint) for run in runs)
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    assert runs[0].metrics == runs[1].metrics
