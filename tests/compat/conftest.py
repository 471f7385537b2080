"""``import spikevision`` comes before ``import mmcv.ops``, in tests as for users."""

import spikevision  # noqa: F401
