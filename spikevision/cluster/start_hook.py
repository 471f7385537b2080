"""Called by ``ray start`` (``RAY_START_HOOK``) before it starts anything; it has no flag for what is done here."""

from typing import Any


def without_client_server(parameters: Any, head: bool) -> None:
    """Leave out the server of the Ray Client, which nothing here uses and which would listen on all interfaces."""
    parameters.ray_client_server_port = None
