import json
import os
import subprocess
import sys
import time

import pytest

from spikevision.cluster.identity import STALE_S, DriverLock, claim
from spikevision.cluster.storage import Storage


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


def test_a_name_is_taken_by_the_first_config_and_kept(storage):
    claim(storage, "one", config_text="lr = 1\n", resume=False)
    claim(storage, "one", config_text="lr = 1\n", resume=True)
    claim(storage, "two", config_text="lr = 2\n", resume=False)
    with pytest.raises(ValueError, match=r"'one' .* another config \(now different: lr = 2\)"):
        claim(storage, "one", config_text="lr = 2\n", resume=False)


def sign(storage, **fields) -> None:
    me = {"host": "elsewhere", "pid": 1, "seen": time.time(), **fields}
    storage.write("one/driver.json", json.dumps(me).encode())


def test_a_driver_elsewhere_that_gives_signs_of_life_keeps_the_name(storage):
    sign(storage)
    with (
        pytest.raises(ValueError, match="process 1 on elsewhere already"),
        DriverLock(storage, "one"),
    ):
        pass


def test_a_silent_driver_has_lost_the_name(storage):
    sign(storage, seen=time.time() - STALE_S - 1)
    with DriverLock(storage, "one"):
        assert storage.read_json("one/driver.json")["pid"] == os.getpid()
    assert storage.read("one/driver.json") is None


def test_a_driver_of_this_machine_holds_the_name_while_its_process_lives(storage):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    sign(storage, host=os.uname().nodename, pid=process.pid)
    with pytest.raises(ValueError, match=f"process {process.pid} "), DriverLock(storage, "one"):
        pass
    process.communicate(b"\n")
    with DriverLock(storage, "one"):
        pass
