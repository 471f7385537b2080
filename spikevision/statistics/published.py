"""The energies that Spikformer's paper prints, recomputed from the operations that it prints.

They follow from one constant: 4.6 pJ for T times the first convolution of the 512-channel model, in every row. The
correction charges each model its own first convolution, once, because a still image is convolved once.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikevision.statistics.energy import CLASSIC

__all__ = ["PUBLISHED_SPIKFORMER", "PublishedEnergy"]

TIME_STEPS = 4
IMAGE_PIXELS = 224 * 224
CHARGED_WIDTH = 512  # whose first convolution the paper charges to all widths


@dataclass(frozen=True, kw_only=True)
class PublishedEnergy:
    """One row of the ImageNet table, T = 4 at 224 x 224.

    Args:
        arch: Depth and width.
        width: Channels D.
        operations_g: Published operations in G, which leave out the first convolution.
        energy_mj: Published energy.

    Source: Zhou et al., Spikformer, arXiv:2209.15425, table of ImageNet results.
    """

    arch: str
    width: int
    operations_g: float
    energy_mj: float

    def papers_method_mj(self) -> float:
        """Energy by the paper's method."""
        first_conv_g = TIME_STEPS * first_conv_macs(CHARGED_WIDTH) / 1e9
        return CLASSIC.mac_pj * first_conv_g + CLASSIC.ac_pj * self.operations_g

    def corrected_mj(self) -> float:
        """The same with the first convolution that the model has, run once."""
        return (
            CLASSIC.mac_pj * first_conv_macs(self.width) / 1e9 + CLASSIC.ac_pj * self.operations_g
        )


def first_conv_macs(width: int) -> int:
    """MACs of the first convolution, 3x3 from 3 to D/8 channels at stride 1."""
    return 3 * 9 * width // 8 * IMAGE_PIXELS


PUBLISHED_SPIKFORMER = (
    PublishedEnergy(arch="8-384", width=384, operations_g=6.82, energy_mj=7.734),
    PublishedEnergy(arch="6-512", width=512, operations_g=8.69, energy_mj=9.417),
    PublishedEnergy(arch="8-512", width=512, operations_g=11.09, energy_mj=11.577),
    PublishedEnergy(arch="10-512", width=512, operations_g=13.67, energy_mj=13.899),
    PublishedEnergy(arch="8-768", width=768, operations_g=22.09, energy_mj=21.477),
)
