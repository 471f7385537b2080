"""The audit job: is the network of a config driven by spikes?"""

from mmengine.device import get_device
from mmengine.registry import init_default_scope

from spikevision.jobs.config import load_config, task_of
from spikevision.jobs.runtime import build_model
from spikevision.jobs.sample_batches import normalise_to, sample_batches
from spikevision.jobs.spec import RunSpec
from spikevision.jobs.weights import load_weights
from spikevision.statistics import Finding, audit_calls


def audit_config(spec: RunSpec, *, fused: bool = False, unrolled: bool = False) -> list[Finding]:
    """Audit a model on two batches of its test data, or on noise where the data is not there.

    Without a checkpoint the normalisations take the statistics of these images, so that the network fires.

    Args:
        spec: ``config``, and if wanted ``checkpoint`` and ``cfg_options``.
        fused: Whether to audit the fused form, as it is deployed.
        unrolled: Whether to audit the form that integer neurons take on spikes, which is fused as well.

    Raises:
        FileNotFoundError: Config or checkpoint is missing.
        ValueError: The config or the checkpoint is not right, the model does not take noise images, or it cannot be unrolled.
    """
    config = load_config(spec.config, options=spec.cfg_options)
    task = task_of(config)
    init_default_scope(task.scope)
    model = build_model(config).to(get_device()).eval()
    batches = list(sample_batches(config, task.name))

    def run() -> None:
        for batch in batches:
            model.test_step(batch)

    if spec.checkpoint:
        load_weights(model, spec.checkpoint)
    else:
        normalise_to(model, run)
    return audit_calls(model, run, fused=fused, unrolled=unrolled)
