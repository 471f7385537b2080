from types import SimpleNamespace

from spikevision.cluster.status import NodeStatus, free_of, nodes_of


def test_the_head_comes_first_and_lost_machines_last():
    def node(address, alive, **resources):
        return {"NodeManagerAddress": address, "Alive": alive, "Resources": resources}

    head = {"node:__internal_head__": 1.0, "CPU": 2.0, "memory": 2**31}
    rows = [node("a", False), node("c", True, CPU=4.0, GPU=1.0), node("b", True, **head)]
    ray = SimpleNamespace(nodes=lambda: rows, available_resources=lambda: {"CPU": 1.5})
    assert [found.address for found in nodes_of(ray)] == ["b", "c", "a"]
    assert nodes_of(ray)[0] == NodeStatus(
        address="b", alive=True, head=True, cpus=2.0, gpus=0.0, memory_gib=2.0
    )
    assert free_of(ray) == (1.5, 0.0)
