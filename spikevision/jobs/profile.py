"""The profile job: what each layer of a config's model costs."""

from mmengine.device import get_device
from mmengine.registry import init_default_scope

from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.runtime import build_model
from spikevision.jobs.sample_batches import normalise_to, sample_batches
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.weights import load_weights
from spikevision.statistics import LayerCost, profile_calls


def profile_config(spec: RunSpec) -> list[LayerCost]:
    """Measure the layers of a model on one batch of its test data, or on noise where the data is not there.

    Without a checkpoint the normalisations take the statistics of these images, so that the network fires.

    Args:
        spec: ``config``, and if wanted ``checkpoint`` and ``cfg_options``.

    Returns:
        Costs of the layers, the most expensive first.

    Raises:
        FileNotFoundError: Config or checkpoint is missing.
        ValueError: The config or the checkpoint is not right, or the model does not take noise images.
    """
    config = load_config(spec.config, options=spec.cfg_options)
    task = task_of(config)
    init_default_scope(task.scope)
    model = build_model(config).to(get_device()).eval()
    batch = next(iter(sample_batches(config, task.name)))
    if spec.checkpoint:
        load_weights(model, spec.checkpoint)
    else:
        normalise_to(model, lambda: model.test_step(batch))
    return profile_calls(model, lambda: model.test_step(batch))
