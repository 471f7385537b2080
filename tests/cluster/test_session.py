import json
import os
import re
import subprocess
import sys
import time

import pytest

from spikevision.cluster.session import session

HEAD = """
from spikevision.cluster.session import session
with session("local", cpus=1) as ray:
    print(ray.get_runtime_context().gcs_address, flush=True)
    input()
"""
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
    loopback, ray_environment, tmp_path
):
    python = [*loopback, sys.executable, "-c"]
    head = subprocess.Popen(
        [*python, HEAD],
        env=ray_environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    address = next(line.strip() for line in head.stdout if re.fullmatch(r"[\d.]+:\d+\s*", line))
    assert address.startswith("127.0.0.1:")
    answers = {}
    for name, change in {
        "right": {},
        "wrong": {"RAY_AUTH_TOKEN": "0" * 64},
        "none": {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "nothing")},
    }.items():
        done = subprocess.run(
            [*python, GUEST, address],
            env={**ray_environment, **change},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        answers[name], seconds = json.loads(done.stdout.splitlines()[-1])
        assert name == "right" or seconds < 15
    assert answers["right"] == 42
    assert "refuses us" in answers["wrong"]
    assert "no token" in answers["none"]
    assert os.stat(tmp_path / "token").st_mode & 0o777 == 0o600
    head.communicate("\n", timeout=60)
    assert head.returncode == 0
