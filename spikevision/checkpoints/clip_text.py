"""The text tower of CLIP: from names of classes and prompts to one vector per class."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TextTower", "Tokenizer", "class_embeddings"]

HEAD_WIDTH = 64  # of every published CLIP transformer


class TextTower(nn.Module):
    """CLIP's text transformer: causal, layer norms first, read at the end token.

    Args:
        vocabulary: Number of tokens.
        width: Channels C, a multiple of 64.
        layers: Number of blocks.
        context: Tokens of a text, with start, end and padding.
        embed_dims: Width D of the space that images and texts share.

    Source: Radford et al., arXiv:2103.00020, section 2.4.
    """

    def __init__(
        self, vocabulary: int, width: int, layers: int, context: int, embed_dims: int
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(context, width))
        layer = nn.TransformerEncoderLayer(
            width,
            width // HEAD_WIDTH,
            4 * width,
            dropout=0.0,
            activation=_quick_gelu,
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, embed_dims, bias=False)

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> "TextTower":
        """The tower that these weights, under its names, are of.

        Raises:
            ValueError: If weights are missing or do not fit each other.
        """
        layers = {name.split(".")[2] for name in weights if name.startswith("blocks.layers.")}
        try:
            vocabulary, width = weights["tokens.weight"].shape
            context = len(weights["positions"])
            tower = cls(vocabulary, width, len(layers), context, len(weights["projection.weight"]))
            tower.load_state_dict(dict(weights))
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"the weights are of no text tower of CLIP: {error}") from error
        return tower.eval()

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors ``[N, D]`` of texts ``[N, L]``; the end token has the highest number in each."""
        ends = tokens.argmax(-1)
        tokens = tokens[:, : int(ends.max()) + 1]  # nobody looks at what lies behind
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
        x = self.tokens(tokens) + self.positions[:length]
        x = self.norm(self.blocks(x, mask=mask, is_causal=True))
        return self.projection(x[torch.arange(len(x)), ends])


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


class Tokenizer:
    """CLIP's byte pair encoding; vocabulary and code are those inside mmsegmentation, so nothing is downloaded.

    Args:
        vocabulary: File of merges as OpenAI has it (``.txt.gz``); None takes the published one.
        context: Tokens of a text, with start and end.

    Raises:
        FileNotFoundError: If there is no such file.
    """

    def __init__(self, vocabulary: str | Path | None = None, *, context: int = 77) -> None:
        from mmseg.utils.tokenizer import SimpleTokenizer

        if vocabulary is not None and not Path(vocabulary).is_file():
            raise FileNotFoundError(f"there is no vocabulary file {str(vocabulary)!r}")
        self._codec = SimpleTokenizer() if vocabulary is None else SimpleTokenizer(str(vocabulary))
        self._context = context
        self.size: int = self._codec.vocab_size

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Tokens ``[N, L]``, zeros behind the end; a longer text is cut."""
        start, end = self._codec.all_special_ids
        found = torch.zeros(len(texts), self._context, dtype=torch.long)
        for row, text in zip(found, texts, strict=True):
            tokens = [start, *self._codec.encode(text)[: self._context - 2], end]
            row[: len(tokens)] = torch.tensor(tokens)
        return found


@torch.no_grad()
def class_embeddings(
    tower: TextTower,
    tokenizer: Tokenizer,
    classes: Sequence[str],
    prompts: Sequence[str],
    *,
    after_class: Callable[[], object] = lambda: None,
) -> Tensor:
    """One unit vector per class: the mean of the unit vectors of its prompts, ``[classes, D]``.

    Args:
        tower: Text tower.
        tokenizer: Its tokenizer.
        classes: Names.
        prompts: Texts with ``{}`` where the name goes.
        after_class: Called after every class.

    Raises:
        ValueError: If there are no classes or prompts, a prompt has no place for the name, or the vocabulary is larger
            than that of the tower.

    Source: Radford et al., arXiv:2103.00020, section 3.1.4 (prompt ensembling).
    """
    if not classes or not prompts:
        raise ValueError("zero-shot classification needs at least one class and one prompt")
    without = [prompt for prompt in prompts if "{}" not in prompt]
    if without:
        raise ValueError(f"a prompt has {{}} where the name of the class goes, got {without[0]!r}")
    known = tower.tokens.num_embeddings
    if tokenizer.size > known:
        raise ValueError(
            f"the vocabulary has {tokenizer.size} tokens and the text tower knows {known}: it belongs to another model"
        )
    rows = []
    for name in classes:
        texts = [prompt.replace("{}", name) for prompt in prompts]
        tokens = tokenizer(texts).to(tower.positions.device)
        vectors = F.normalize(tower(tokens), dim=-1)
        rows.append(F.normalize(vectors.mean(0), dim=-1))
        after_class()
    return torch.stack(rows).cpu()
