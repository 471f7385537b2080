import copy
from unittest.mock import patch

import pytest
import torch
from torch import nn

from spikevision.deploy import forms
from spikevision.layers import DepthwiseSeparableBN, RepConvBN


@pytest.mark.parametrize("cheaper", ["factors", "dense"])
def test_each_layer_takes_the_form_that_was_faster_and_answers_alike(cheaper):
    torch.manual_seed(0)
    core = nn.Sequential(RepConvBN(8), DepthwiseSeparableBN(8, 8, 7)).eval().requires_grad_(False)
    x = (torch.rand(2, 1, 8, 6, 6) < 0.3).float()

    def time_ms(layer, form, x, weights):
        return 1.0 if form == cheaper else 2.0

    with patch.object(forms, "_time_ms", time_ms):
        chosen = forms.choose_forms(core, lambda: core(x), weights="float32")
    assert chosen == {"0": cheaper, "1": cheaper}
    folded = forms.fold_in_forms_(copy.deepcopy(core).double(), chosen)
    counts = [len([m for m in layer.modules() if isinstance(m, nn.Conv2d)]) for layer in folded]
    assert counts == ([1, 1] if cheaper == "dense" else [3, 2])
    torch.testing.assert_close(folded(x.double()), core.double()(x.double()))


def test_both_forms_are_really_timed():
    layer = RepConvBN(4).eval().requires_grad_(False)
    x = torch.zeros(1, 1, 4, 3, 3)
    assert all(forms._time_ms(layer, form, x, "int8") > 0 for form in ("factors", "dense"))
