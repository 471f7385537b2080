"""``spikevision import CHECKPOINT --arch ARCH -o OUT.pth``; of CLIP ``--classes SET`` in place of the arch."""

import argparse
import io
from typing import Any

HELP = "turn an official checkpoint into one that spikevision configs load"
EPILOG = """
examples:
  spikevision import metaspikformer.pth --arch 55m -o OUT.pth
  spikevision import ViT-B-32.pt --classes imagenet -o clip.pth
  spikevision import clip-vit-base-patch32/ --classes names.txt --prompts plain -o clip.pth

CLIP's weights are read as OpenAI (.pt), Hugging Face (a folder or its model.safetensors) and mmpretrain (.pth) publish
them; the classes become part of the written checkpoint. They must have been trained with QuickGELU, as OpenAI's (of
OpenCLIP those with quickgelu in their name): a file does not tell. See docs/conversion.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "checkpoint", help="checkpoint as its authors published it (.pth, .pth.tar)"
    )
    parser.add_argument(
        "--arch",
        help="15m, 31m or 55m (Meta-SpikeFormer); 8-512, 4-384 ... (Spikformer); told from the weights of CLIP",
    )
    parser.add_argument(
        "--family",
        help="meta-spikeformer, spikformer-imagenet, spikformer-cifar or spikformer-event (default: told from the keys)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.pth", help="file to write")
    group = parser.add_argument_group("zero-shot classification", "CLIP only")
    group.add_argument(
        "--classes",
        metavar="SET",
        help="imagenet, cifar10, cifar100, or a file with one name a line",
    )
    group.add_argument(
        "--prompts",
        metavar="SET",
        help="imagenet (80, default), cifar (18, default with cifar classes), plain, or a file with one prompt a line, "
        "{} for the name",
    )
    group.add_argument(
        "--vocabulary", metavar="FILE", help="merges (.txt.gz) in place of the published ones"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, check every key, and write the result whole or not at all."""
    import torch

    from spikevision.jobs.files import write_atomically

    checkpoint = _zero_shot(args) if args.classes else _spiking(args)
    content = io.BytesIO()
    torch.save(checkpoint, content)
    write_atomically(args.output, content.getvalue())
    weights = checkpoint["state_dict"]
    parameters = sum(
        value.numel()
        for key, value in weights.items()
        if not key.endswith(("running_mean", "running_var", "tracked", "class_embeddings"))
    )
    what = args.arch or f"for {len(checkpoint['meta']['dataset_meta']['classes'])} classes"
    print(
        f"{checkpoint['meta']['family']} {what}: {len(weights)} tensors, {parameters:,} parameters"
    )
    print(f"written: {args.output}\nuse it with: --cfg-options load_from={args.output}")
    return 0


def _spiking(args: argparse.Namespace) -> dict[str, Any]:
    from spikevision.checkpoints.importing import import_official

    if args.arch is None:
        raise ValueError(
            "name the architecture with --arch, such as 55m; for a CLIP checkpoint, the classes with --classes"
        )
    return import_official(args.checkpoint, args.arch, family=args.family)


def _zero_shot(args: argparse.Namespace) -> dict[str, Any]:
    from spikevision.checkpoints.clip import import_clip, read_clip
    from spikevision.checkpoints.clip_classes import CIFAR_SETS, class_names
    from spikevision.checkpoints.clip_prompts import prompt_templates
    from spikevision.jobs.progress import progress

    classes = class_names(args.classes)
    usual = "cifar" if args.classes in CIFAR_SETS else "imagenet"
    prompts = prompt_templates(args.prompts or usual)
    weights = read_clip(args.checkpoint)
    with progress() as bar:
        line = bar.add_task("classes", total=len(classes))
        return import_clip(
            weights,
            classes,
            prompts,
            vocabulary=args.vocabulary,
            after_class=lambda: bar.advance(line),
        )
