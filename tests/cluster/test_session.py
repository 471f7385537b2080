import json
import os
import subprocess
import sys
import time

import pytest

from spikevision.cluster.session import session

GUEST = """
import json, sys, time
from spikevision.cluster.session import session
start = time.monotonic()
try:
    with session(sys.argv[1]) as ray:
        answer = ray.get(ray.remote(num_cpus=0)(lambda: 42).remote())
except ValueError as error:
    answer = str(error)
print(json.dumps([answer, time.monotonic() - start]))
"""


def test_an_address_that_nobody_answers_is_refused_within_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    start = time.monotonic()
    with (
        pytest.raises(ValueError, match="cannot reach 127.0.0.1:9: .*head node"),
        session("127.0.0.1:9"),
    ):
        pass
    assert time.monotonic() - start < 6


@pytest.mark.parametrize("address", ["somewhere", "host:", ":6379", "host:port"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(ValueError, match="local, auto or HOST:PORT"), session(address):
        pass


def test_a_public_address_without_tls_is_refused(monkeypatch):
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    with pytest.raises(ValueError, match="public address"), session("8.8.8.8:6379"):
        pass


@pytest.mark.ray
@pytest.mark.slow
def test_only_the_right_token_gets_in_and_the_others_hear_it_soon(
    loopback, ray_environment, ray_address, tmp_path
):
    assert ray_address.startswith("127.0.0.1:")
    assert os.stat(ray_environment["RAY_AUTH_TOKEN_PATH"]).st_mode & 0o777 == 0o600
    answers = {}
    for name, change in {
        "right": {},
        "wrong": {"RAY_AUTH_TOKEN": "0" * 64},
        "none": {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "nothing")},
    }.items():
        done = subprocess.run(
            [*loopback, sys.executable, "-c", GUEST, ray_address],
            env={**ray_environment, **change},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        answers[name], seconds = json.loads(done.stdout.splitlines()[-1])
        assert name == "right" or seconds < 30  # most of it is the import of Ray
    assert answers["right"] == 42
    assert "refuses us" in answers["wrong"]
    assert "no token" in answers["none"]
