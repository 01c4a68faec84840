"""What cannot both be meant is said before anything changes: all of it, by name, with a way out.

The tests use `helm template`: Helm 4.1.4's `lint` ignores `fail`.
"""

from typing import Any

import pytest

from helm_chart_test.fixtures import Renderer

ON = {"enabled": True}
MEMORY = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "object storage": (
        {"storage": "s3", "garbageCollect": ON},
        ("garbageCollect.enabled is true, but storage is s3", "garbageCollect.enabled: false"),
    ),
    "object storage and a cronjob": (
        {"storage": "azure", "garbageCollect": {**ON, "mode": "cronjob"}},
        ("storage is azure", "garbageCollect.enabled: false"),
    ),
    "object storage and a sidecar": (
        {"storage": "s3", "garbageCollect": {**ON, "mode": "sidecar"}},
        ("garbageCollect.mode is sidecar, but storage is s3", "no volume to share"),
    ),
    "a cronjob on a volume": (
        {"garbageCollect": {**ON, "mode": "cronjob"}},
        ("garbageCollect.mode is cronjob", "Remove garbageCollect.mode"),
    ),
    "a mode that is none": (
        {"garbageCollect": {**ON, "mode": "daemon"}},
        ("garbageCollect.mode is daemon",),
    ),
    "memory by a variable": (
        {
            "garbageCollect": {**ON, "restart": "never"},
            "extraEnvVars": [
                {"name": "REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR", "value": "inmemory"}
            ],
        },
        ("garbageCollect.restart is never",),
    ),
    "memory by its old name": (
        {
            "garbageCollect": {**ON, "restart": "never"},
            "configData": {"storage": {"cache": {"layerinfo": "inmemory"}}},
        },
        ("garbageCollect.restart is never",),
    ),
    "memory without a restart": (
        {"configData": MEMORY, "garbageCollect": {**ON, "restart": "never"}},
        ("garbageCollect.restart is never", "garbageCollect.restart: auto"),
    ),
    "neither schedule nor period": (
        {"garbageCollect": {**ON, "schedule": "", "period": ""}},
        ("neither garbageCollect.schedule nor garbageCollect.period",),
    ),
    "nobody's files": (
        {
            "garbageCollect": ON,
            "securityContext": {"enabled": False},
            "containerSecurityContext": {"enabled": False},
        },
        ("runAsUser", "containerSecurityContext.enabled: true"),
    ),
    "two stores": (
        {"persistence": {"hostPath": {"path": "/srv"}, "existingClaim": "x"}},
        ("persistence.hostPath.path is /srv", "persistence.existingClaim is x"),
    ),
    "a relative path": (
        {"persistence": {"hostPath": {"path": "srv"}}},
        ("persistence.hostPath.path is srv", "slash"),
    ),
    "killed while it drains": (
        {"terminationGracePeriodSeconds": 30, "configData": {"http": {"draintimeout": "1m"}}},
        ("terminationGracePeriodSeconds is 30", "60 seconds"),
    ),
    "an unknown storage": ({"storage": "tape"}, ("storage is tape", "filesystem, s3")),
    "no restart of that name": (
        {"garbageCollect": {**ON, "restart": "sometimes"}},
        ("garbageCollect.restart is sometimes", "auto, always or never"),
    ),
    "no period": (
        {"garbageCollect": {**ON, "period": "1 day"}},
        ('garbageCollect.period: "1 day" is not a duration like 90s', "a number of seconds"),
    ),
    "no deadline": (
        {"garbageCollect": {**ON, "hook": {"activeDeadline": "late"}}},
        ('garbageCollect.hook.activeDeadline: "late" is not a duration',),
    ),
    "more than all": (
        {"garbageCollect": {**ON, "maxDeleteRatio": 80}},
        ('garbageCollect.maxDeleteRatio: "80"', "from 0 to 1"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_contradiction_is_said(case: str, render: Renderer) -> None:
    """Each was seen to fail with its `if` removed from _contradictions.tpl."""
    values, told = CASES[case]
    error = render.error(values)
    assert "The cluster was not changed: these values contradict each other." in error
    assert error.count("\n- ") == 1, error
    for words in told:
        assert words in error


DURATIONS = (
    "gracePeriod",
    "settlePeriod",
    "uploadGracePeriod",
    "quarantine",
    "hook.timeout",
    "hook.startingDeadline",
    "sidecar.startDelay",
    "sidecar.memoryStartDelay",
    "preflight.timeout",
)


@pytest.mark.parametrize("value", ["1 hour", "1hour", "h", "-5m", "90", 90, "1h 30m", ""])
def test_what_is_no_duration_is_quoted(render: Renderer, value: object) -> None:
    """Seen to fail: a name left out of docker-registry.contradictions.forms."""
    given: dict[str, Any] = {"enabled": True}
    for name in DURATIONS:
        section, _, key = name.rpartition(".")
        (given.setdefault(section, {}) if section else given)[key] = value
    error = render.error({"garbageCollect": given})
    for name in DURATIONS:
        said = f'garbageCollect.{name}: "{value}" is not a duration like 90s, 15m, 1h, 7d.'
        assert said in error


@pytest.mark.parametrize("value", ["90s", "1h30m", "7d", "0", "0s", "1.5h", "500ms"])
def test_what_is_a_duration_is_taken(render: Renderer, value: str) -> None:
    """The control of the test above."""
    assert render({"garbageCollect": {**ON, "gracePeriod": value, "period": "3600"}})


def test_all_contradictions_are_said_at_once(each_helm: Renderer) -> None:
    """Seen to fail: `fail` inside the first `if`, so that people meet them one by one."""
    values = {
        "storage": "tape",
        "terminationGracePeriodSeconds": 1,
        "persistence": {"hostPath": {"path": "srv"}, "existingClaim": "x"},
        "garbageCollect": {**ON, "schedule": "", "restart": "x", "gracePeriod": "y"},
    }
    assert each_helm.error(values).count("\n- ") == 8


def test_what_is_off_contradicts_nothing(each_helm: Renderer) -> None:
    """Seen to fail: the conditions of a collection asked for while it is off."""
    off = {"enabled": False, "mode": "x", "restart": "x", "gracePeriod": "x", "schedule": ""}
    assert each_helm(
        {"storage": "s3", "replicaCount": 2, "configData": MEMORY, "garbageCollect": off}
    )
