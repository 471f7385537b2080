"""Spiking self-attention without softmax, as used by Spikformer (SSA) and Meta-SpikeFormer (SDSA-1, SDSA-3)."""

from collections.abc import Callable

from torch import Tensor, nn

from spikevision.layers.normalise import EndsInNorm, fire
from spikevision.neurons import build_neuron
from spikevision.ops.attention import spiking_attention
from spikevision.ops.packing import takes_spikes

__all__ = [
    "ATTENTIONS",
    "MaskedSpikingAttention",
    "MaskedSpikingProduct",
    "SpikingProduct",
    "SpikingSelfAttention",
]

ATTENTION_V_THRESHOLD = 0.5  # published for the neuron behind the product; all others fire at 1


class SpikingProduct(nn.Module):
    """``scale * (Q K^T) V`` as a module of its own, so that a hook sees the spikes that enter it.

    Args:
        scale: Constant factor on the product.
    """

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    @takes_spikes
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """All four ``[T, N, M, D, L]``."""
        return spiking_attention(q, k, v, scale=self.scale)

    def extra_repr(self) -> str:
        """Settings, as ``print(model)`` shows them."""
        return f"scale={self.scale}"


class MaskedSpikingProduct(nn.Module):
    """Sum over tokens of ``K * V``, the only additions of SDSA-1, as a module that a hook can watch."""

    @takes_spikes
    def forward(self, k: Tensor, v: Tensor) -> Tensor:
        """``[T, N, M, D, L]`` twice; returns ``[T, N, M, D, 1]``."""
        return (k * v).sum(-1, keepdim=True)


class SpikingSelfAttention(nn.Module):
    """SSA, which Spike-driven Transformer V2 calls SDSA-3: ``proj(SN(scale * Q K^T V))``, neuron threshold 0.5.

    Q, K and V are spikes, ``SN(W x)`` each. Heads split the channels; channel index = head * D + position.

    Args:
        channels: Width C.
        num_heads: Number of heads M; C must be a multiple of it.
        neuron: Neuron config (None: LIF as published).
        weight: Builds a normalised weight layer for Q, K, V.
        out_weight: Builds the normalised weight layer behind the product.
        scale: Constant factor on the product, whatever the head width.
        value_weight: Builds the weight layer for V if it differs: V may be wider, ``out_weight`` then narrows it again.
        attention_v_threshold: Threshold of the neuron behind the product; None takes that of the config.

    Raises:
        ValueError: If ``channels`` is no multiple of ``num_heads``.

    Source: Zhou et al., Spikformer, arXiv:2209.15425, eq. 5-6; Yao et al., arXiv:2404.03663, eq. 14.
    """

    def __init__(
        self,
        channels: int,
        *,
        num_heads: int,
        neuron: dict | None,
        weight: Callable[[], nn.Module],
        out_weight: Callable[[], nn.Module],
        scale: float = 0.125,
        value_weight: Callable[[], nn.Module] | None = None,
        attention_v_threshold: float | None = ATTENTION_V_THRESHOLD,
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ValueError(f"{channels} channels do not divide into {num_heads} heads")
        self.num_heads = num_heads
        self.product = self._product(scale)
        self.q, self.k, self.v = weight(), weight(), (value_weight or weight)()
        self.q_neuron, self.k_neuron, self.v_neuron = (build_neuron(neuron) for _ in "qkv")
        threshold = {} if attention_v_threshold is None else {"v_threshold": attention_v_threshold}
        self.attention_neuron = build_neuron(neuron, **threshold)
        self.out = out_weight()

    def forward(self, x: Tensor) -> Tensor:
        """``[T, N, C, H, W]`` in and out."""
        return self.out(self._attended(x))

    def before_norm(self, x: Tensor) -> tuple[Tensor, list[nn.Module]]:
        """See :class:`spikevision.layers.normalise.EndsInNorm`."""
        assert isinstance(self.out, EndsInNorm)
        return self.out.before_norm(self._attended(x))

    def _attended(self, x: Tensor) -> Tensor:
        q = self._split_heads(fire(self.q, self.q_neuron, x))
        k = self._split_heads(fire(self.k, self.k_neuron, x))
        v = self._split_heads(fire(self.v, self.v_neuron, x))
        return self.attend(q, k, v).flatten(2, 3).unflatten(-1, x.shape[-2:])

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Spikes of the attended values; all four ``[T, N, M, D, L]``."""
        return self.attention_neuron(self.product(q, k, v))

    def _product(self, scale: float) -> nn.Module:
        return SpikingProduct(scale)

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.flatten(3).unflatten(2, (self.num_heads, -1))


class MaskedSpikingAttention(SpikingSelfAttention):
    """SDSA-1: ``proj(Q * SN(sum over tokens of K * V))``, a mask per channel, linear in tokens and in width.

    Source: Yao et al., Spike-driven Transformer, arXiv:2307.01694; SDSA-1 in arXiv:2404.03663, table 1.
    """

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Spikes of the masked queries; all four ``[T, N, M, D, L]``."""
        return q * self.attention_neuron(self.product(k, v))

    def _product(self, scale: float) -> nn.Module:
        return MaskedSpikingProduct()  # SDSA-1 has no scale


ATTENTIONS = {"sdsa1": MaskedSpikingAttention, "sdsa3": SpikingSelfAttention}
