"""What NOTES.txt prints works as it is printed, in a shell, against a cluster."""

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from support.checkout import tool
from support.cluster import Release
from support.notes import lines, notes, shell
from support.waiting import until

# The hash is a test vector of bcrypt: the password is `U*U`.
LINE = "user:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"


def test_the_commands_of_a_node_port_with_users(release: Release, tmp_path: Path) -> None:
    """Seen to fail: the user's name read from `stringData`; `logs` before the pod runs."""
    release.install({"secrets.htpasswd": LINE})
    said = notes(release)

    variables = [*lines(said, "LOGIN="), *lines(said, "NODE="), *lines(said, "PORT=")]
    (curl,) = lines(said, "curl .*NODE")
    assert len(variables) == 3
    # It asks for the password, and here nobody could answer.
    answered = curl.replace('"$LOGIN"', '"$LOGIN:U*U"').replace("curl", "curl --fail --silent", 1)
    assert '"repositories"' in shell(release, tmp_path, *variables, answered)

    begin, create, follow = [
        line for word in ("JOB=", "kubectl create job", "until") for line in lines(said, word)
    ]
    assert "Deleted 0 blobs" in shell(release, tmp_path, begin, create, follow)
    (plan,) = lines(said, "kubectl exec")
    assert "would" in shell(release, tmp_path, plan)


def test_the_commands_of_a_port_that_is_forwarded(release: Release, tmp_path: Path) -> None:
    """To a Service and to a StatefulSet without one, and to the metrics.

    Seen to fail: the Service's port in the command where there is no Service.
    """
    inside = {"service.type": "ClusterIP", "service.nodePort": "", "metrics.enabled": "true"}
    alone = {"service.create": "false", "useStatefulSet": "true", "tests.enabled": "false"}
    for values in (inside, {**inside, **alone, "service.port": "80"}):
        release.install({**values, "garbageCollect.enabled": "false"})
        said = notes(release)
        forwards = lines(said, "kubectl port-forward")
        asks = lines(said, "curl ")
        assert len(forwards) == len(asks) == 2
        for forward, ask in zip(forwards, asks, strict=True):
            # Any free port of this machine, in place of one that somebody may have.
            local = re.sub(r" \d+:(\d+)", r" :\1", forward.partition(" #")[0])
            assert forward_and_ask(release, local, ask)
        release.uninstall()


def forward_and_ask(release: Release, forward: str, ask: str) -> bool:
    """Leave one command running; say whether the other one gets an answer meanwhile."""
    command = forward.replace("kubectl", str(tool("kubectl")), 1)
    environment = {**os.environ, **release.cluster.environment}
    with subprocess.Popen(
        command.split(),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            told = running.stdout.readline()
            port = re.search(r"127\.0\.0\.1:(\d+)", told)
            assert port, f"{command}: {told}{running.stdout.read()}"
            url = re.sub(r"127\.0\.0\.1:\d+", port[0], ask).replace("curl", "curl --fail --silent")

            def answers() -> bool:
                done = subprocess.run(
                    ["bash", "-c", url], capture_output=True, timeout=30, check=False
                )
                return done.returncode == 0 and bool(done.stdout)

            return until(answers, what=url, timeout=30)
        finally:
            with suppress(ProcessLookupError):
                running.terminate()
