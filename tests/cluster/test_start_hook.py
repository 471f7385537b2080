from types import SimpleNamespace

from spikevision.cluster.start_hook import without_client_server


def test_no_server_of_the_ray_client_is_started():
    parameters = SimpleNamespace(ray_client_server_port=10001)
    without_client_server(parameters, True)
    assert parameters.ray_client_server_port is None
