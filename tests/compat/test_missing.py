import pytest
import torch

from spikevision.compat.missing import MissingOperatorError, missing_operator


def test_an_operator_that_we_do_not_have_is_named_when_it_is_called_not_when_it_is_asked_for():
    operator = missing_operator("correlation_forward")
    assert operator.__name__ == "correlation_forward"
    with pytest.raises(MissingOperatorError, match=r"'correlation_forward'.*full 'mmcv'"):
        operator(1, two=2)


def test_the_error_is_a_not_implemented_error_and_reaches_the_user_through_mmcv():
    from mmcv.ops import CARAFENaive

    with pytest.raises(NotImplementedError, match="carafe_naive_forward"):
        CARAFENaive(3, 1, 2)(torch.zeros(1, 2, 3, 3), torch.zeros(1, 9, 6, 6))


@pytest.mark.parametrize("name", ["__path__", "__wrapped__", "_private"])
def test_names_of_the_import_system_are_not_operators(name):
    import mmcv._ext

    assert not hasattr(mmcv._ext, name)
