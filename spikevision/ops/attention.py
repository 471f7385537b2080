"""The product of spiking self-attention: no softmax, so its two matrix products may be done in either order."""

from torch import Tensor

from spikevision.ops.packing import mark_like

__all__ = ["spiking_attention"]


def spiking_attention(q: Tensor, k: Tensor, v: Tensor, *, scale: float) -> Tensor:
    """Compute ``scale * (Q K^T) V`` in the cheaper of its two orders.

    ``Q (K^T V)`` costs ``2 L D^2`` additions per head, ``(Q K^T) V`` costs ``2 L^2 D``; on spikes both give the same
    integers, in float32 to the bit while the sums stay below 2^24.

    Args:
        q: Queries, channels first, ``[..., D, L]``.
        k: Keys, ``[..., D, L]``.
        v: Values, ``[..., Dv, L]``.
        scale: Factor on the result (no unit).

    Returns:
        The attended values, ``[..., Dv, L]``.

    Source: Zhou et al., Spikformer, arXiv:2209.15425, eq. 6 (SSA, which Spike-driven Transformer V2 calls SDSA-3).
    """
    q, k, v = map(_by_token, (q, k, v))
    head_width, tokens = q.shape[-2:]
    if tokens > head_width:
        return (v @ k.mT) @ q * scale
    return v @ (k.mT @ q) * scale


def _by_token(x: Tensor) -> Tensor:
    """``[..., D, L]`` with the D values of a token side by side, as one batch of matrices.

    The product of other layouts would copy them as well, and the copies would not be known as spikes.
    """
    return mark_like(x.mT.contiguous().mT, x)
