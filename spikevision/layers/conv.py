"""Convolution with normalisation on ``[T, N, C, H, W]``, and the re-parameterised convolutions of Meta-SpikeFormer.

Every class with a ``fused`` method gives one ordinary convolution that answers the same in eval mode; ``folded`` gives the
same factors without their normalisations.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from spikevision.layers.normalise import BatchNorm2d, apply_norms
from spikevision.ops.depthwise import depthwise_conv2d
from spikevision.ops.packing import mark_computed, takes_spikes
from spikevision.ops.time_axis import fold_time, unfold_like

__all__ = [
    "ConvBN",
    "DepthwiseBN",
    "DepthwiseConv2d",
    "DepthwiseSeparableBN",
    "RepConvBN",
    "TimeFolded",
]


class TimeFolded(nn.Sequential):
    """Stateless modules applied to all time steps in one call: ``[T, N, C, H, W] -> [T, N, C', H', W']``."""

    @takes_spikes
    def forward(self, x: Tensor) -> Tensor:
        """Fold time into the batch, run the modules, unfold it again."""
        return unfold_like(super().forward(fold_time(x)), x)


class ConvBN(TimeFolded):
    """Convolution and batch normalisation over T and N together.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel; padding keeps the size at stride 1.
        stride: Stride of the convolution.
        bias: Whether the convolution has a bias of its own (the published weights do in some places).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=bias
        )
        self.bn = BatchNorm2d(out_channels)

    @takes_spikes
    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        return unfold_like(self.conv(fold_time(x)), x), [self.bn]

    def fused(self) -> TimeFolded:
        """One convolution with bias, equal in eval mode."""
        return TimeFolded(fuse_conv_bn_eval(self.conv, self.bn))


class DepthwiseConv2d(nn.Conv2d):
    """Depthwise convolution without bias that keeps the size, ``[N, C, H, W]`` in and out.

    Args:
        channels: Number of channels C.
        kernel_size: Side of the square kernel, odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        padding = kernel_size // 2
        super().__init__(
            channels, channels, kernel_size, padding=padding, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each channel, see :func:`spikevision.ops.depthwise.depthwise_conv2d`."""
        return depthwise_conv2d(x, self.weight)


class DepthwiseBN(TimeFolded):
    """Depthwise convolution that keeps the size, and batch normalisation.

    Args:
        channels: Number of channels C.
        kernel_size: Side of the square kernel, odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = DepthwiseConv2d(channels, kernel_size)
        self.bn = BatchNorm2d(channels)

    @takes_spikes
    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        return unfold_like(self.conv(fold_time(x)), x), [self.bn]

    def fused(self) -> TimeFolded:
        """One depthwise convolution with bias, equal in eval mode."""
        channels, _, kernel_size, _ = self.conv.weight.shape
        plain = nn.Conv2d(
            channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=False
        ).eval()
        plain.weight = self.conv.weight
        return TimeFolded(fuse_conv_bn_eval(plain, self.bn))


class DepthwiseSeparableBN(TimeFolded):
    """Depthwise convolution, pointwise convolution and normalisation, with nothing between the two convolutions.

    Second half of Meta-SpikeFormer's SepConv. ``C -> out_channels``; the two convolutions merge into a dense one.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.depthwise = DepthwiseConv2d(in_channels, kernel_size)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = BatchNorm2d(out_channels)

    @takes_spikes
    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        return unfold_like(self.pointwise(self.depthwise(fold_time(x))), x), [self.bn]

    def fused(self) -> TimeFolded:
        """One dense convolution with bias, equal in eval mode; ``k^2 C C'`` instead of ``k^2 C + C C'`` MACs."""
        dense = nn.Conv2d(
            self.depthwise.in_channels,
            self.pointwise.out_channels,
            self.kernel_size,
            padding=self.kernel_size // 2,
            bias=False,
        ).to(self.pointwise.weight)
        dense.weight = nn.Parameter(self.pointwise.weight * self.depthwise.weight.transpose(0, 1))
        return TimeFolded(fuse_conv_bn_eval(dense.eval(), self.bn))

    def folded(self) -> TimeFolded:
        """The same two convolutions, the normalisation in the weights of the second."""
        return TimeFolded(self.depthwise, fuse_conv_bn_eval(self.pointwise, self.bn))


class RepConvBN(nn.Module):
    """RepConv of Meta-SpikeFormer: 1x1, BN, depthwise 3x3, 1x1, BN, and the BN that follows it.

    The depthwise convolution sees a border of one pixel that holds the first BN's response to a zero input
    (running statistics, outside the gradient), which makes the chain equal to one zero-padded 3x3 convolution.

    Args:
        channels: Channels of input and output, which are ``[T, N, C, H, W]``.

    Source: Yao et al., Spike-driven Transformer V2, arXiv:2404.03663; fusion as in Ding et al., RepVGG, arXiv:2101.03697.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pointwise1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn1 = BatchNorm2d(channels)
        self.depthwise = DepthwiseConv2d(channels, 3)
        self.pointwise2 = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn2 = BatchNorm2d(channels)
        self.bn3 = BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, C, H, W]`` in and out."""
        z, norms = self.before_norm(x)
        return unfold_like(apply_norms(norms, fold_time(z)), z)

    @takes_spikes
    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        y = self.bn1(self.pointwise1(fold_time(x)))
        # A convolution is linear: zero padding plus the response to the border alone. The border is the same for
        # all images, so it is convolved once, and no padded copy of the features is made.
        border = self._border_response(y.shape[-2:])
        z = self.depthwise(y) + border
        mark_computed(
            z, y, lambda y: self.depthwise(y) + border
        )  # cheaper to make again than to keep
        return unfold_like(self.pointwise2(z), x), [self.bn2, self.bn3]

    def _border_response(self, size: torch.Size) -> Tensor:
        height, width = size
        scale, shift = _affine(self.bn1)
        frame = shift.detach().view(1, -1, 1, 1).repeat(1, 1, height + 2, width + 2)
        frame[:, :, 1:-1, 1:-1] = 0
        return nn.functional.conv2d(frame, self.depthwise.weight, groups=self.depthwise.groups)

    def fused(self) -> TimeFolded:
        """One dense 3x3 convolution with bias, equal in eval mode."""
        first, kernel, second, bias = self._factors()
        weight = torch.einsum("om,muv,mi->oiuv", second, kernel.squeeze(1), first)
        dense = nn.Conv2d(first.shape[1], second.shape[0], 3, padding=1).to(weight)
        dense.weight, dense.bias = nn.Parameter(weight), nn.Parameter(bias)
        return TimeFolded(dense)

    def folded(self) -> TimeFolded:
        """The same three convolutions without normalisation and border, equal in eval mode.

        The border holds what the first normalisation adds everywhere, so the depthwise convolution of that addition is
        one number per channel, and it goes into the last bias.
        """
        first, kernel, second, bias = self._factors()
        chain = TimeFolded(
            nn.Conv2d(first.shape[1], first.shape[0], 1, bias=False),
            DepthwiseConv2d(kernel.shape[0], 3),
            nn.Conv2d(second.shape[1], second.shape[0], 1),
        ).to(first)
        weights = (first[..., None, None], kernel, second[..., None, None])
        for conv, weight in zip(chain, weights, strict=True):
            conv.weight = nn.Parameter(weight)
        chain[-1].bias = nn.Parameter(bias)
        return chain

    def _factors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights ``[M, I]``, ``[M, 1, 3, 3]`` and ``[O, M]`` with the normalisations in them, and the last bias ``[O]``."""
        (scale1, shift1), (scale2, shift2), (scale3, shift3) = map(
            _affine, (self.bn1, self.bn2, self.bn3)
        )
        first = self.pointwise1.weight.flatten(1) * scale1[:, None]
        kernel = self.depthwise.weight
        second = self.pointwise2.weight.flatten(1)
        bias = scale2 * (second @ (kernel.sum((1, 2, 3)) * shift1)) + shift2
        return first, kernel, second * (scale2 * scale3)[:, None], scale3 * bias + shift3


def _affine(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift that ``bn`` applies in eval mode, each ``[C]``."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    return scale, bn.bias - bn.running_mean * scale
