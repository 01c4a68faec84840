"""What cannot both be meant is said before anything changes: all of it, by name, with a way out.

The tests use `helm template`: Helm 4.1.4's `lint` ignores `fail`.
"""

from typing import Any

import pytest

from helm_chart_test.fixtures import Renderer

HEADING = "The cluster was not changed: these values cannot work as they are."
ON = {"enabled": True}
MEMORY = {"storage": {"cache": {"blobdescriptor": "inmemory"}}}

S3 = {"storage": "s3", "s3": {"bucket": "images", "region": "eu-1"}}
AZURE: dict[str, Any] = {
    "storage": "azure",
    "azure": {"accountname": "images", "container": "registry"},
}
TOKEN = {"realm": "https://auth.example.com/token", "service": "registry", "issuer": "auth"}
DIGEST = "sha256:" + "0" * 64

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a name with capitals": (
        {"fullnameOverride": "Registry"},
        ('fullnameOverride: "Registry" is not a name: small letters',),
    ),
    "a name that goes into the label and the names": (
        {"nameOverride": "my registry"},
        ('nameOverride: "my registry" is not a name',),
    ),
    "a Service that begins with a digit": (
        {"fullnameOverride": "0123"},
        ("would be called 0123", "fullnameOverride, such as registry-0123"),
    ),
    "a Service that is renamed to a digit": (
        {"service": {"nameOverride": "1st"}},
        ("service.nameOverride is 1st", "begins with a letter"),
    ),
    "a name that goes into the label": (
        {"nameOverride": "a,b", "fullnameOverride": "registry"},
        ('nameOverride: "a,b" goes into labels',),
    ),
    "a Secret of no name": (
        {"tlsSecretName": "registry_tls"},
        ('tlsSecretName: "registry_tls" is not a name',),
    ),
    "a Secret of a driver": (
        {"secrets": {"s3": {"secretRef": "a/b"}}, **S3},
        ('secrets.s3.secretRef: "a/b" is not a name',),
    ),
    "a label that is too long": (
        {"podLabels": {"commit": "0" * 64}},
        ("podLabels: commit is", "at most 63", "annotations"),
    ),
    "a label of many words": (
        {"service": {"labels": {"owner": "the platform team"}}},
        ('service.labels: owner is "the platform team"',),
    ),
    "a label's name": (
        {"commonLabels": {"for whom?": "us"}},
        ('commonLabels: "for whom?" is no label',),
    ),
    "object storage": (
        {**S3, "garbageCollect": ON},
        ("garbageCollect.enabled is true, but storage is s3", "garbageCollect.enabled: false"),
    ),
    "object storage and a cronjob": (
        {**AZURE, "garbageCollect": {**ON, "mode": "cronjob"}},
        ("storage is azure", "garbageCollect.enabled: false"),
    ),
    "object storage and a sidecar": (
        {**S3, "garbageCollect": {**ON, "mode": "sidecar"}},
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
    "no schedule": (
        {"garbageCollect": {**ON, "schedule": "every night"}},
        ('garbageCollect.schedule: "every night" is not a schedule', "0 1 * * *"),
    ),
    "two tokens": (
        {"garbageCollect": {**ON, "token": "a", "tokenRef": {"name": "b"}}},
        ("garbageCollect.tokenRef.name is b", "Remove one"),
    ),
    "the collector's port": (
        {"garbageCollect": ON, "configData": {"http": {"addr": ":5002"}}},
        ("configData.http.addr has the port 5002",),
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
    "no size": (
        {"persistence": {"enabled": True, "size": "10 GB"}},
        ('persistence.size: "10 GB" is not a size like 10Gi.',),
    ),
    "no size of an emptyDir": (
        {"emptydir": {"size": "much"}},
        ('emptydir.size: "much" is not a size',),
    ),
    "no access mode": (
        {"persistence": {"enabled": True, "accessMode": "RWX"}},
        ('persistence.accessMode is "RWX"', "ReadWriteMany"),
    ),
    "one pod and many": (
        {
            "persistence": {
                "enabled": True,
                "accessModes": ["ReadWriteOncePod", "ReadWriteMany"],
            }
        },
        ("ReadWriteOncePod and others",),
    ),
    "killed while it drains": (
        {"terminationGracePeriodSeconds": 30, "configData": {"http": {"draintimeout": "1m"}}},
        ("terminationGracePeriodSeconds is 30", "65 seconds"),
    ),
    "no drain": (
        {"configData": {"http": {"draintimeout": "1 minute"}}},
        ('configData.http.draintimeout: "1 minute" is not a duration',),
    ),
    "no wait": (
        {"preStopDelay": "soon"},
        ('preStopDelay: "soon" is not a duration', "a number of seconds"),
    ),
    "an unknown storage": ({"storage": "tape"}, ("storage is tape", "filesystem, s3")),
    "swift, which is gone": (
        {"storage": "swift", "swift": {"authurl": "https://swift", "container": "c"}},
        ("storage is swift, which registry 3 no longer has", "image.tag: 2.8.3"),
    ),
    "no bucket": (
        {"storage": "s3", "s3": {"region": "eu-1"}},
        ("its bucket is not set", "s3.bucket"),
    ),
    "no region": (
        {"storage": "s3", "s3": {"bucket": "images"}},
        ("its region is not set", "s3.region"),
    ),
    "no bucket of Google's": ({"storage": "gcs"}, ("gcs.bucket",)),
    "no container": (
        {"storage": "azure", "secrets": {"azure": {"accountName": "images"}}},
        ("secrets.azure.container",),
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
    "a part of a digest": (
        {"image": {"digest": "sha256:abc"}},
        ('image.digest: "sha256:abc"', "64 digits"),
    ),
    "a part of the collector's digest": (
        {"garbageCollect": {**ON, "image": {"digest": DIGEST[:-1]}}},
        ("garbageCollect.image.digest",),
    ),
    "a tag in the name": (
        {"image": {"repository": "mirror.example.com:5000/registry:3.0.0"}},
        ("image.repository: mirror.example.com:5000/registry and", 'image.tag: "3.0.0"'),
    ),
    "no image": ({"image": {"repository": ""}}, ("image.repository is empty",)),
    "a budget of both": (
        {"podDisruptionBudget": {"minAvailable": 0, "maxUnavailable": 1}},
        ("both minAvailable and maxUnavailable",),
    ),
    "a budget of neither": (
        {"podDisruptionBudget": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}},
        ("neither minAvailable nor maxUnavailable",),
    ),
    "more at least than at most": (
        {"autoscaling": {"enabled": True, "minReplicas": 3}},
        ("autoscaling.minReplicas is 3", "autoscaling.maxReplicas, 2"),
    ),
    "a StatefulSet that is recreated": (
        {"useStatefulSet": True, "updateStrategy": {"type": "Recreate"}},
        ("updateStrategy.type is Recreate",),
    ),
    "a probe of two kinds": (
        {"livenessProbe": {"exec": {"command": ["true"]}, "tcpSocket": {"port": 5000}}},
        ("livenessProbe has exec and tcpSocket",),
    ),
    "a variable of the collector's": (
        {"garbageCollect": ON, "extraEnvVars": [{"name": "GC_PERIOD", "value": "1h"}]},
        ("extraEnvVars has GC_PERIOD", "garbageCollect"),
    ),
    "a variable without a name": (
        {"extraEnvVars": [{"name": "A", "value": "b"}, {"value": "c"}]},
        ("extraEnvVars[1] has no name",),
    ),
    "an identity in a word": (
        {**AZURE, "azure": {**AZURE["azure"], "credentials": "default_credentials"}},
        ('azure.credentials is "default_credentials"', "{type: default_credentials}"),
    ),
    "a test without end": ({"tests": {"timeout": "long"}}, ('tests.timeout: "long"',)),
    "a test without a password": (
        {"tests": {"username": "anna"}},
        ("tests.username is set and tests.password is not", "tests.secretRef"),
    ),
    "a test without a name": (
        {"tests": {"password": "secret"}},
        ("tests.password is set and tests.username is not",),
    ),
    "two htpasswd files": (
        {"secrets": {"htpasswd": "a:b", "htpasswdRef": {"name": "users"}}},
        ("secrets.htpasswdRef.name is users", "Remove one"),
    ),
    "two shared secrets": (
        {"haSharedSecret": "a", "secrets": {"haSharedSecret": "b"}},
        ("haSharedSecret and secrets.haSharedSecret differ",),
    ),
    "tokens and passwords": (
        {"secrets": {"htpasswd": "a:b"}, "auth": {"token": {**TOKEN, "jwks": "{}"}}},
        ("auth.token and secrets.htpasswd are both set",),
    ),
    "half a token server": (
        {"auth": {"token": {"realm": "https://auth", "jwks": "{}"}}},
        ("Set auth.token.issuer and auth.token.service too",),
    ),
    "tokens of anybody": ({"auth": {"token": TOKEN}}, ("auth.token.jwks",)),
    "two sets of certificates": (
        {"auth": {"token": {**TOKEN, "rootCertBundle": "a", "rootCertBundleRef": {"name": "b"}}}},
        ("auth.token.rootCertBundleRef.name is b",),
    ),
    "a certificate without a key": (
        {"tls": {"crt": "PEM"}},
        ("tls.crt is set and tls.key is not", "tlsSecretName"),
    ),
    "a key without a certificate": (
        {"tls": {"key": "PEM"}},
        ("tls.key is set and tls.crt is not",),
    ),
    "sentinels of nowhere": (
        {"redis": {"sentinel": {"masterName": "main"}}},
        ("redis.sentinel.masterName is main", "Set redis.addrs"),
    ),
    "certificates without TLS": (
        {"redis": {"addrs": ["r:6379"], "tls": {"caSecret": "ca"}}},
        ("redis.tls.caSecret is ca", "redis.tls.enabled"),
    ),
    "Redis before registry 3": (
        {"redis": {"addrs": ["r:6379"]}, "image": {"tag": "2.8.3"}},
        ("redis.addrs is for registry 3, and image.tag is 2.8.3",),
    ),
    "nothing to cache": (
        {"proxy": {"enabled": True, "remoteurl": "docker.io"}},
        ('proxy.remoteurl: "docker.io" is not an address',),
    ),
    "cached for some time": (
        {"proxy": {"enabled": True, "ttl": "a week"}},
        ('proxy.ttl: "a week" is not a duration',),
    ),
    "a Service outside": (
        {"service": {"type": "ExternalName"}},
        ("service.type is ExternalName", "extraObjects"),
    ),
    "a Service of no kind": (
        {"service": {"type": "Nodeport"}},
        ("service.type is Nodeport. Set ClusterIP, NodePort",),
    ),
    "a way of no kind": (
        {"networking": {"type": "route"}},
        ("networking.type is route. Set gateway",),
    ),
    "no port": ({"service": {"nodePort": 300000}}, ("service.nodePort is 300000",)),
    "one port twice": (
        {"metrics": {"enabled": True, "port": 5000}},
        ("both have the port 5000", "metrics.port"),
    ),
    "a sub-path": (
        {"ingress": {"enabled": True, "path": "/registry"}},
        ("ingress.path is /registry", "cannot use a sub-path"),
    ),
    "a sub-path of one host": (
        {
            "ingress": {
                "enabled": True,
                "hosts": [{"host": "a.example.com", "paths": [{"path": "registry/"}]}],
            }
        },
        ('ingress.hosts[0].paths is "registry/"', "slash"),
    ),
    "a sub-path as a text": (
        {"ingress": {"enabled": True, "hosts": [{"host": "a.example.com", "paths": "/sub"}]}},
        ("ingress.hosts[0].paths is /sub",),
    ),
    "a host without a name": (
        {"ingress": {"enabled": True, "hosts": [{"paths": ["/"]}]}},
        ("ingress.hosts[0] has no host",),
    ),
    "an object that is none": (
        {"extraObjects": [{"kind": "ConfigMap"}]},
        ("extraObjects[0]: it has no apiVersion",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_contradiction_is_said(case: str, render: Renderer) -> None:
    """Each was seen to fail with its `if` removed from contradictions/."""
    values, told = CASES[case]
    error = render.error(values)
    assert f"{HEADING}\n- " in error, error
    assert error.count("\n- ") == 1, error
    for words in told:
        assert words in error


SAID_ELSEWHERE: dict[str, dict[str, Any]] = {
    "a driver of one's own": {
        "storage": "oss",
        "configData": {"storage": {"oss": {"bucket": "images"}}},
    },
    "a bucket in configData": {
        "storage": "s3",
        "configData": {"storage": {"s3": {"bucket": "b", "region": "r"}}},
    },
    "a bucket in a variable": {
        "storage": "gcs",
        "extraEnvVars": [{"name": "REGISTRY_STORAGE_GCS_BUCKET", "value": "b"}],
    },
    "a bucket in a Secret": {"storage": "gcs", "envFrom": [{"secretRef": {"name": "store"}}]},
    "an endpoint for a region": {
        "storage": "s3",
        "s3": {"bucket": "b", "regionEndpoint": "http://minio:9000"},
    },
    "swift of the image that has it": {
        "storage": "swift",
        "swift": {"authurl": "https://swift", "container": "c"},
        "image": {"tag": "2.8.3"},
    },
    "a path that is rewritten": {"ingress": {"enabled": True, "path": "/registry(/|$)(.*)"}},
    "a path that clients use": {"ingress": {"enabled": True, "path": "/v2/"}},
    "a path beside one that clients use": {
        "ingress": {"enabled": True, "hosts": [{"host": "a", "paths": ["/", "/health"]}]}
    },
    "a path of a proxy that is off": {"ingress": {"path": "/registry"}},
    "a Secret for both halves": {"tls": {"crt": "PEM"}, "tlsSecretName": "mine"},
    "a Service made elsewhere": {"service": {"create": False, "type": "ExternalName"}},
    "capitals in the label alone": {"nameOverride": "Registry", "fullnameOverride": "registry"},
    "a Secret named by a template": {"tlsSecretName": "{{ .Release.Name }}-tls"},
    "no StorageClass": {"persistence": {"enabled": True, "storageClass": "-"}},
    "a budget of 0": {"podDisruptionBudget": {"maxUnavailable": 0}},
    "a test that knows nobody": {"tests": {"enabled": False, "username": "anna"}},
}


@pytest.mark.parametrize("case", SAID_ELSEWHERE)
def test_what_works_is_not_refused(case: str, render: Renderer) -> None:
    """The control of the test above: a refusal breaks an upgrade.

    Seen to fail: the condition `regexMatch` of a sub-path without its exceptions.
    """
    assert render(SAID_ELSEWHERE[case])


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
    """Seen to fail: a name left out of docker-registry.contradictions.gc.durations."""
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
        "garbageCollect": {**ON, "schedule": "", "mode": "x", "gracePeriod": "y"},
    }
    assert each_helm.error(values).count("\n- ") == 7


def test_what_is_off_contradicts_nothing(each_helm: Renderer) -> None:
    """Seen to fail: the conditions of a collection asked for while it is off."""
    off = {"enabled": False, "mode": "x", "gracePeriod": "x", "schedule": ""}
    assert each_helm({**S3, "replicaCount": 2, "configData": MEMORY, "garbageCollect": off})
