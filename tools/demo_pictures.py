"""The pictures of the demos: predictions beside the truth, and for a classifier what its neurons did."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import mmcv
import numpy as np
import torch
from torch import Tensor, nn

from spikevision.neurons import SpikingNeuron

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  after the choice of backend
from matplotlib.patches import Patch, Rectangle  # noqa: E402

SCORE_THRESHOLD = 0.3
TITLES = ("image", "truth", "prediction")


@torch.no_grad()
def save_picture(
    task: str, model: nn.Module, batch: dict, path: Path, *, meta: dict[str, Any]
) -> Path:
    """Show what a model makes of some images.

    Args:
        task: Name of the task.
        model: The model, in eval mode.
        batch: Images as its data loader gives them.
        path: PNG to write.
        meta: ``metainfo`` of the data set: ``classes`` and ``palette``.
    """
    if task == "classification":
        return save_classification(model, batch, path)
    draw = {"detection": draw_detection, "segmentation": draw_segmentation}[task]
    results = model.test_step(batch)
    figure, axes = plt.subplots(
        len(results), 3, figsize=(12, 4 * len(results)), layout="constrained", squeeze=False
    )
    palette = np.array(meta["palette"])
    for row, result in zip(axes, results, strict=True):
        image = mmcv.imread(result.img_path, channel_order="rgb")
        for axis, title in zip(row, TITLES, strict=True):
            axis.set_title(title)
            axis.set_axis_off()
        row[0].imshow(image)
        draw(row[1:], image, result, palette)
    handles = [
        Patch(color=colour / 255, label=name)
        for name, colour in zip(meta["classes"], palette, strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=13)
    figure.savefig(path, dpi=80)
    plt.close(figure)
    return path


def draw_detection(axes: Sequence, image: np.ndarray, result: Any, palette: np.ndarray) -> None:
    """True objects, then those predicted with a score of at least 0.3: boxes, and masks if there are any."""
    predicted = result.pred_instances.cpu()
    predicted = predicted[predicted.scores >= SCORE_THRESHOLD]
    for axis, objects in zip(axes, (result.gt_instances.cpu(), predicted), strict=True):
        shown = image.copy()
        masks = objects.get("masks", ())
        for label, mask in zip(objects.labels, getattr(masks, "masks", masks), strict=False):
            inside = np.asarray(mask, bool)
            shown[inside] = 0.55 * shown[inside] + 0.45 * palette[label]
        axis.imshow(shown)
        for label, box in zip(objects.labels, torch.as_tensor(objects.bboxes), strict=True):
            left, top, right, bottom = box.tolist()
            frame = Rectangle((left, top), right - left, bottom - top, fill=False, linewidth=1)
            frame.set_edgecolor(palette[label] / 255)
            axis.add_patch(frame)
        axis.set_title(f"{axis.get_title()}: {len(objects)} objects")


def draw_segmentation(axes: Sequence, image: np.ndarray, result: Any, palette: np.ndarray) -> None:
    """The true class map (pixels without a label are black) and the predicted one."""
    for axis, labels in zip(axes, (result.gt_sem_seg, result.pred_sem_seg), strict=True):
        classes = labels.data[0].cpu().numpy()
        known = classes < len(palette)
        shown = np.zeros_like(image)
        shown[known] = palette[classes[known]]
        axis.imshow(shown)


@contextmanager
def recorded_spikes(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Spikes ``[T, N, ...]`` of every neuron of the calls made inside, by name, in order of firing."""
    spikes: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, args, output, name=name: spikes.update({name: output})
        )
        for name, module in model.named_modules()
        if isinstance(module, SpikingNeuron)
    ]
    yield spikes
    for hook in hooks:
        hook.remove()


def save_classification(model: nn.Module, batch: dict, path: Path) -> Path:
    """Some images with their predictions, the spikes of the first layer, and the rate of every layer over time."""
    count = len(batch["inputs"])
    with recorded_spikes(model) as spikes:
        results = model.test_step(batch)
    maps = next(iter(spikes.values())).sum(2)  # [T, N, H, W]: spikes of all channels
    rates = torch.stack([spike.flatten(2).mean(2) for spike in spikes.values()])  # [layer, T, N]
    time_steps = len(maps)
    figure, axes = plt.subplots(
        count,
        time_steps + 2,
        figsize=(1.5 * (time_steps + 3), 1.6 * count),
        layout="constrained",
        width_ratios=[1] * (time_steps + 1) + [2],
    )
    for row, (axis, image, result) in enumerate(zip(axes, batch["inputs"], results, strict=True)):
        right = int(result.pred_label) == int(result.gt_label)
        axis[0].imshow(image.permute(1, 2, 0).numpy())
        axis[0].set_ylabel(
            f"{int(result.pred_label)} ({float(result.pred_score.max()):.0%})",
            color="green" if right else "red",
            fontsize=13,
        )
        for t in range(time_steps):
            axis[1 + t].imshow(maps[t, row], cmap="magma", vmin=0, vmax=maps.max())
        axis[-1].imshow(rates[:, :, row].T, cmap="magma", vmin=0, vmax=rates.max(), aspect="auto")
        axis[-1].set_ylabel("time step", fontsize=8)
        axis[-1].set_yticks(range(time_steps), range(1, time_steps + 1), fontsize=8)
        for plain in axis[:-1]:
            plain.set_xticks([])
            plain.set_yticks([])
        axis[-1].set_xticks([])
    axes[0][0].set_title("prediction")
    for t in range(time_steps):
        axes[0][1 + t].set_title(f"spikes, t = {t + 1}", fontsize=10)
    axes[0][-1].set_title(f"firing rate of each layer (0 to {rates.max():.2f})", fontsize=10)
    axes[-1][-1].set_xlabel("layer, input to output", fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
