"""Max-pooling of spikes."""

from torch import Tensor, nn

from spikevision.ops.pooling import max_pool2d

__all__ = ["SpikeMaxPool2d"]


class SpikeMaxPool2d(nn.MaxPool2d):
    """``torch.nn.MaxPool2d`` that keeps little for the backward pass and says that its result holds spikes.

    Args:
        kernel_size: Side of the square window.
        stride: Step of the window.
        padding: Border on each side.
    """

    kernel_size: int
    stride: int
    padding: int

    def __init__(self, kernel_size: int, *, stride: int, padding: int = 0) -> None:
        super().__init__(kernel_size, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C, H', W']``, see :func:`spikevision.ops.pooling.max_pool2d`."""
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)
