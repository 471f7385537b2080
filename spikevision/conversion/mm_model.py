"""A converted network as a model of OpenMMLab: a config names it, a Runner or an inferencer uses it as any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MM_MODELS
from torch import Tensor

from spikevision.conversion.artefact import CONVERSION, equip
from spikevision.conversion.model import SpikingModel
from spikevision.conversion.report import ConversionReport
from spikevision.conversion.rules import Rules
from spikevision.conversion.sta import STAConfig
from spikevision.registry import MODELS

__all__ = ["ConvertedModel"]


@MODELS.register_module()
class ConvertedModel(BaseModel):
    """A classifier, detector or segmentor of mmpretrain, mmdet or mmsegmentation that was converted.

    ``spikevision convert`` writes configs with it. Thresholds and settings come with the checkpoint.

    Args:
        model: Config of the ANN.
        time_steps: Number of steps T; None takes that of the conversion.
        data_preprocessor: Of the ANN, where its config has none (mmengine's Runner puts it here).

    Raises:
        ValueError: If ``time_steps`` is less than 1.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        *,
        time_steps: int | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
    ) -> None:
        if time_steps is not None and time_steps < 1:
            raise ValueError(f"time_steps must be at least 1, got {time_steps}")
        config = ConfigDict(model)
        if data_preprocessor is not None and config.get("data_preprocessor") is None:
            config.data_preprocessor = data_preprocessor
        built = MM_MODELS.build(config)
        super().__init__(data_preprocessor=built.data_preprocessor)
        built.eval()
        self._time_steps = time_steps
        self.spiking = SpikingModel(built, Rules(STAConfig()), ConversionReport({}, "", 0))
        self.register_buffer(CONVERSION, torch.zeros(0, dtype=torch.uint8))
        self._register_load_state_dict_pre_hook(lambda state, prefix, *_: self.adopt(state, prefix))

    @property
    def ann(self) -> Any:
        """The model that was converted, with its heads and their numbers of classes."""
        return self.spiking.model

    @property
    def operation_counter(self) -> Any:
        """Who is told all operations, see :mod:`spikevision.conversion.counting`."""
        return self.spiking.operation_counter

    @operation_counter.setter
    def operation_counter(self, counter: Any) -> None:
        self.spiking.operation_counter = counter

    def adopt(self, state: Mapping[str, Tensor], prefix: str = "") -> None:
        """Take the shape of the network whose state dict will be loaded.

        Raises:
            ValueError: If it is not that of a converted network, or of another one.
        """
        about = state.get(f"{prefix}{CONVERSION}")
        equip(self.spiking, about)
        assert about is not None
        self.conversion = torch.zeros_like(about)
        if self._time_steps is not None:
            default = self.spiking.rules.default
            self.spiking.rules.default = replace(default, time_steps=self._time_steps)

    def forward(self, inputs: Any, data_samples: list | None = None, mode: str = "tensor") -> Any:
        """Predictions, or with ``mode='tensor'`` what the ANN's network answers, after T steps.

        Raises:
            ValueError: If a loss is asked for.
        """
        if mode == "loss":
            raise ValueError("a converted network cannot be trained: train the ANN and convert it")
        if mode == "tensor":
            return self.spiking(inputs)
        return self.spiking.predict(inputs, data_samples)

    def train(self, mode: bool = True) -> ConvertedModel:
        """Stay in eval mode: nothing here learns."""
        return super().train(False)
