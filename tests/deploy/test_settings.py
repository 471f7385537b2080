import pytest

from spikevision.deploy import DeploySettings


def test_a_config_without_the_field_takes_the_defaults():
    assert DeploySettings.from_config(None) == DeploySettings(weights="float32", spike_driven=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": "int4"}, r"one of \('float32', 'int8'\), got 'int4'"),
        ({"batch": 0}, "batch is a whole number of at least 1, got 0"),
        ({"quantise": True}, r"got \['quantise'\] as well"),
    ],
)
def test_wrong_settings_say_what_would_do(given, message):
    with pytest.raises(ValueError, match=message):
        DeploySettings.from_config(given)
