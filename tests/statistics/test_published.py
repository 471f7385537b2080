import pytest

from spikevision.statistics import PUBLISHED_SPIKFORMER, count_macs
from spikevision.statistics.published import first_conv_macs
from spikevision.testing import build_classifier


@pytest.mark.parametrize("row", PUBLISHED_SPIKFORMER, ids=lambda row: row.arch)
def test_published_energy_follows_from_published_operations(row):
    assert row.papers_method_mj() == pytest.approx(row.energy_mj, abs=0.005)


def test_the_correction_charges_each_width_its_own_first_convolution_once():
    corrected = {row.arch: round(row.corrected_mj(), 3) for row in PUBLISHED_SPIKFORMER}
    # 0.9 x operations + 4.6 x 0.0650, 0.0867 or 0.1301
    assert corrected == {
        "8-384": 6.437,
        "6-512": 8.22,
        "8-512": 10.38,
        "10-512": 12.702,
        "8-768": 20.479,
    }


@pytest.mark.parametrize(
    "row", [PUBLISHED_SPIKFORMER[0], PUBLISHED_SPIKFORMER[4]], ids=lambda row: row.arch
)
def test_the_first_convolution_is_the_one_of_our_model(row):
    arch = dict(embed_dims=row.width, depth=1, num_heads=8)
    model = build_classifier(dict(type="Spikformer", arch=arch), 2)
    assert count_macs(model)["first_conv"] == first_conv_macs(row.width)
