"""Rules: names, patterns, and which one wins."""

from torch import nn

from spikevision.conversion.rules import Rules


def test_a_name_speaks_for_all_inside_and_the_first_match_wins():
    rules = Rules("default", {"a.b": "inner", "a": "outer", r"re:c\d+": "pattern"})
    names = {"a.b.c": "inner", "a.bc": "outer", "a": "outer", "c12": "pattern", "c1.d": "default"}
    assert {name: rules.config_of(name) for name in names} == names


def test_a_rule_that_matches_something_passes():
    Rules("default", {"0": None, r"re:\d": None}).check(nn.Sequential(nn.ReLU()))
