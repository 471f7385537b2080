"""Load images with an error that names the file, or leave an unreadable one out."""

from typing import Any, Literal

from mmcv.transforms import LoadImageFromFile
from mmengine.logging import MMLogger

from spikevision.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SafeLoadImage(LoadImageFromFile):
    """mmcv's LoadImageFromFile with a clear answer to an unreadable file.

    Args:
        on_error: ``raise`` stops with an error that names the file. ``skip`` logs a warning and, in training, lets the
            dataset take another random sample; in a test no sample may be left out, so mmengine stops there.
        to_float32: As in mmcv's transform, like the next three.
        color_type: ``color`` or ``grayscale``.
        imdecode_backend: Library that decodes.
        backend_args: Where the files are, for mmengine's file backends.

    Raises:
        ValueError: The file cannot be read, or ``on_error`` is neither ``raise`` nor ``skip``.
    """

    def __init__(
        self,
        *,
        on_error: Literal["raise", "skip"] = "raise",
        to_float32: bool = False,
        color_type: str = "color",
        imdecode_backend: str = "cv2",
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error is {on_error!r}; it can be 'raise' or 'skip'")
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            backend_args=backend_args,
        )
        self.on_error = on_error

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Add the image to the sample; None when it is left out."""
        try:
            return super().transform(results)
        except Exception as error:  # decoders raise whatever they like
            path = results["img_path"]
            reason = " ".join(str(error).split()) or type(error).__name__
            if self.on_error == "skip":
                MMLogger.get_current_instance().warning(f"left out image {path!r}: {reason}")
                return None
            raise ValueError(
                f"cannot read image {path!r} ({reason}). Replace or remove it, or set on_error='skip' in "
                f"SafeLoadImage to leave such images out of training"
            ) from error
