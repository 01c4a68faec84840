"""Each value of the chart, a release in which it matters, and another value that it may have."""

from collections.abc import Iterator, Mapping
from typing import Any

from helm_chart_test import merged
from helm_chart_test.reading import mapping
from support.chart import CHART

Path = tuple[str, ...]

GIVEN: dict[str, Any] = {
    "secrets": {"haSharedSecret": "given"},
    "garbageCollect": {"token": "given"},
}
"""What would be random otherwise, so that two renders are equal."""

_CLAIM = {"persistence": {"enabled": True}}
_COLLECTED = {**_CLAIM, "garbageCollect": {"enabled": True}}
_METRICS = {
    "metrics": {
        "enabled": True,
        "serviceMonitor": {"enabled": True},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True, "rules": [{"alert": "A", "expr": "up"}]},
    }
}
_AZURE = {"storage": "azure", "azure": {"accountname": "a", "container": "c"}}
_S3 = {"storage": "s3", "s3": {"region": "eu", "bucket": "b"}}
_SWIFT = {
    "storage": "swift",
    "image": {"tag": "2.8.3"},
    "swift": {"authurl": "https://a", "container": "c"},
    "secrets": {"swift": {"username": "u", "password": "p"}},
}
_TOKEN = {
    "auth": {
        "token": {"realm": "https://a/t", "service": "s", "issuer": "i", "rootCertBundle": "PEM"}
    }
}

_SELF_SIGNED = {"tls": {"mode": "selfSigned"}}
_CERT_MANAGER = {"tls": {"mode": "certManager", "names": ["a.example.com"],
    "certManager": {"issuerRef": {"name": "i"}}}}  # fmt: skip

_ENDPOINT = {"endpoint": {"enabled": True}, "service": {"type": "NodePort"}}
_TRUSTING = merged(_ENDPOINT, {"nodeTrust": {"enabled": True}})

CONTEXTS: dict[str, dict[str, Any]] = {
    "": {},
    "auth.htpasswd": {"secrets": {"htpasswd": "a:b"}},
    "auth.token": _TOKEN,
    "auth.token.rootCertBundleRef": {"auth": {"token": {"realm": "https://a/t", "service": "s",
        "issuer": "i", "rootCertBundleRef": {"name": "n", "key": "k"}}}},
    "autoscaling": {**_S3, "autoscaling": {"enabled": True},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}},
    "azure": _AZURE,
    "emptydir": {},
    "endpoint": _ENDPOINT,
    "endpoint.scheme": merged(_ENDPOINT, {"endpoint": {"addresses": ["a.example.com"]}}),
    "garbageCollect": _COLLECTED,
    "garbageCollect.tokenRef": merged(_COLLECTED, {"garbageCollect": {"token": "",
        "tokenRef": {"name": "n"}}}),
    "gcs": {"storage": "gcs", "gcs": {"bucket": "b"}},
    **dict.fromkeys((f"garbageCollect.readOnly{each}" for each in ("Expires", "Timeout")),
        merged(_COLLECTED, {"garbageCollect": {"readOnly": True}})),
    "global.storageClass": _CLAIM,
    "httproute": {"httproute": {"enabled": True, "parentRefs": [{"name": "g"}]}},
    "ingress": {"ingress": {"enabled": True}},
    "metrics": _METRICS,
    **dict.fromkeys((f"metrics.{kind}.enable" for kind in ("serviceMonitor", "podMonitor",
        "prometheusRule")), merged(_METRICS, {"metrics": {
            "serviceMonitor": {"enabled": False}, "podMonitor": {"enabled": False},
            "prometheusRule": {"enabled": False}}})),
    "networkPolicy": merged(_METRICS, _COLLECTED, {"networkPolicy": {"enabled": True,
        "allowExternal": False, "egress": {"enabled": True}}}),
    "nodeTrust": _TRUSTING,
    "nodeTrust.via": merged(_TRUSTING, {"nodeTrust": {"host": "registry.lan:5000"}}),
    "persistence": _CLAIM,
    "persistence.hostPath": {"persistence": {"hostPath": {"path": "/srv"}}},
    "persistence.keep": _CLAIM,
    "proxy": {"proxy": {"enabled": True, "username": "u", "password": "p"}},
    "proxy.secretKeys": {"proxy": {"enabled": True, "secretRef": "r"}},
    "redis": {"redis": {"addrs": ["r:6379"], "password": "p"}},
    "redis.secretKeys": {"redis": {"addrs": ["r:1"], "secretRef": "r",
        "sentinel": {"masterName": "m"}}},
    "redis.sentinel": {"redis": {"addrs": ["r:26379"], "sentinel": {"masterName": "m",
        "username": "u", "password": "p"}}},
    "redis.tls": {"redis": {"addrs": ["r:6379"], "tls": {"enabled": True}}},
    "s3": _S3,
    "secrets.azure": _AZURE,
    "secrets.azure.secretKeys": merged(_AZURE, {"secrets": {"azure": {"secretRef": "r"}}}),
    "secrets.azure.secretKeys.clientSecret": merged(_AZURE, {
        "azure": {"credentials": {"type": "client_secret", "clientid": "c", "tenantid": "t"}},
        "secrets": {"azure": {"secretRef": "r"}}}),
    "secrets.gcs": {"storage": "gcs", "gcs": {"bucket": "b"}},
    "secrets.gcs.secretKeys": {"storage": "gcs", "gcs": {"bucket": "b"},
        "secrets": {"gcs": {"secretRef": "r"}}},
    "secrets.haSharedSecretRef": {"secrets": {"haSharedSecret": "",
        "haSharedSecretRef": {"name": "n"}}},
    "storage": {"s3": {"region": "eu", "bucket": "b"}},
    "secrets.htpasswdRef.key": {"secrets": {"htpasswdRef": {"name": "n"}}},
    "secrets.s3": merged(_S3, {"secrets": {"s3": {"accessKey": "a", "secretKey": "s"}}}),
    "secrets.s3.secretKeys": merged(_S3, {"secrets": {"s3": {"secretRef": "r"}}}),
    "secrets.swift": _SWIFT,
    "secrets.swift.secretKeys": merged(_SWIFT, {"secrets": {"swift": {"username": "",
        "password": "", "secretRef": "r"}}}),
    "service": {"service": {"type": "LoadBalancer"}},
    "service.clusterIP": {},
    "service.healthCheckNodePort": {"service": {"type": "LoadBalancer",
        "externalTrafficPolicy": "Local"}},
    "service.sessionAffinityConfig": {"service": {"sessionAffinity": "ClientIP"}},
    "serviceAccount": {"serviceAccount": {"create": True}},
    "swift": _SWIFT,
    "tests": {"secrets": {"htpasswd": "a:b"}, "tests": {"username": "u", "password": "p"}},
    "tests.secretKeys": {"secrets": {"htpasswd": "a:b"}, "tests": {"secretRef": "r"}},
    "tls": {"tls": {"crt": "crt", "key": "key"}},
    "tls.certManager": _CERT_MANAGER,
    "tls.clientCA": merged(_SELF_SIGNED, {"tls": {"clientCA": {"secretRef": "clients"}}}),
    "tls.mode": {},
    "tls.names": _SELF_SIGNED,
    "tls.selfSigned": _SELF_SIGNED,
    "useStatefulSet": _CLAIM,
    "haSharedSecret": {"secrets": {"haSharedSecret": ""}},
}  # fmt: skip
"""By the longest name that a value's own begins with: values with which it means something."""

_SELECTOR = {"matchLabels": {"a": "b"}}
_PEER = [{"podSelector": _SELECTOR}]
_CONTAINER = [{"name": "first", "image": "busybox:1"}]
_RESOURCES = {"requests": {"cpu": "7m"}}
_TOLERATIONS = [{"key": "k", "operator": "Exists"}]
_AFFINITY: dict[str, Any] = {
    "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}
}
_RELABELINGS = [{"action": "labeldrop", "regex": "x"}]

OTHERS: dict[str, Any] = {
    "affinity": _AFFINITY,
    "annotations": {"example.com/a": "b"},
    "auth.token.jwks": '{"keys": []}',
    "auth.token.signingAlgorithms": ["ES256"],
    "automountServiceAccountToken": True,
    "autoscaling.behavior": {"scaleDown": {"stabilizationWindowSeconds": 7}},
    "autoscaling.metrics": [{"type": "Resource"}],
    "azure": {"realm": "r"},
    "commonAnnotations": {"example.com/a": "b"},
    "commonLabels": {"team": "t"},
    "configData.health.storagedriver.interval": "11s",
    "configData.http.addr": ":5555",
    "configData.http.draintimeout": "11s",
    "configData.http.headers.X-Content-Type-Options": ["other"],
    "configSecret": {"log": {"level": "debug"}},
    "containerSecurityContext.capabilities.drop": ["NET_RAW"],
    "containerSecurityContext.runAsNonRoot": False,
    "containerSecurityContext.seLinuxOptions": {"level": "s0"},
    "digest": "sha256:" + "0" * 64,
    "dnsConfig": {"options": [{"name": "ndots"}]},
    "dnsPolicy": "Default",
    "emptydir.size": "1Gi",
    "enable": True,
    "endpoint.addresses": ["a.example.com"],
    "endpoint.nodeAddressType": "Hostname",
    "endpoint.schedule": "*/7 * * * *",
    "endpoint.scheme": "https",
    "endpoint.timeZone": "Europe/Berlin",
    "envFrom": [{"secretRef": {"name": "n"}}],
    "extraContainers": [{"name": "exporter", "image": "e:1"}],
    "extraEnvVars": [{"name": "MINE", "value": "yes"}],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra-a"}}],
    "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
    "extraVolumes": [{"name": "v", "emptyDir": {}}],
    "garbageCollect.hook.activeDeadline": "7h",
    "garbageCollect.hook.suspend": True,
    "garbageCollect.hook.ttlSecondsAfterFinished": 60,
    "garbageCollect.maxDeleteRatio": 0.5,
    "garbageCollect.mode": "sidecar",
    "garbageCollect.period": "6h",
    "garbageCollect.quarantine": "7d",
    "garbageCollect.readOnlyExpires": "20m",
    "garbageCollect.readOnlyTimeout": "20m",
    "garbageCollect.restart": "always",
    "garbageCollect.restartPolicy": "Never",
    "garbageCollect.schedule": "0 2 * * *",
    "garbageCollect.hook.timeZone": "Europe/Berlin",
    "gcs": {"chunksize": 5242880},
    "gracePeriod": "2h",
    "global.imagePullSecrets": ["mirror"],
    "global.imageRegistry": "r.example.com",
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a"]}],
    "httproute.additionalRules": [{"filters": []}],
    "httproute.apiVersion": "gateway.networking.k8s.io/v1beta1",
    "httproute.filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "a"}}],
    "httproute.hostnames": ["a.example.com"],
    "httproute.matches": [{"path": {"type": "Exact", "value": "/"}}],
    "httproute.parentRefs": [{"name": "h"}],
    "httproute.timeouts": {"request": "10m"},
    "image.registry": "r.example.com",
    "imagePullSecrets": [{"name": "docker"}],
    "ingress.className": "traefik",
    "ingress.hosts": ["other.example.com"],
    "ingress.pathType": "Exact",
    "ingress.tls": [{"secretName": "s"}],
    "initContainers": _CONTAINER,
    "interval": "7s",
    "labels": {"team": "t"},
    "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
    "metricRelabelings": _RELABELINGS,
    "metrics.prometheusRule.rules": [{"alert": "B", "expr": "up"}],
    "networkPolicy.egress.rules": [{"ports": [{"port": 443}]}],
    "networkPolicy.extraIngress": [{"ports": [{"port": 8080}]}],
    "networkPolicy.ingressFrom": _PEER,
    "networkPolicy.metricsFrom": _PEER,
    "networking.type": "ingress",
    "nodeSelector": {"disk": "ssd"},
    "nodeTrust.host": "registry.lan:5000",
    "nodeTrust.hostFolder": "/var/lib/rancher/k3s/agent/etc/containerd",
    "nodeTrust.removeTimeout": "90s",
    "nodeTrust.runtime": "crio",
    "nodeTrust.updateStrategy": {"type": "OnDelete"},
    "nodeTrust.via": "NodeAddress",
    "persistence.accessMode": "ReadWriteMany",
    "persistence.accessModes": ["ReadWriteMany"],
    "persistence.hostPath.path": "/other",
    "persistence.hostPath.type": "Directory",
    "persistence.selector": _SELECTOR,
    "podAnnotations": {"example.com/a": "b"},
    "podDisruptionBudget": {"maxUnavailable": 1},
    "podLabels": {"team": "t"},
    "preStopDelay": "7s",
    "probe": {"periodSeconds": 7},
    "proxy.remoteurl": "https://other.example.com",
    "proxy.ttl": "7d",
    "pullPolicy": "Always",
    "redis.addrs": ["other:6379"],
    "relabelings": _RELABELINGS,
    "resources": _RESOURCES,
    "s3": {"encrypt": False},
    "scrapeTimeout": "3s",
    "secrets.gcs.keyfile": '{"type": "service_account"}',
    "secrets.htpasswd": "user:$2y$05$abcdefghijklmnopqrstuv",
    "securityContext.fsGroupChangePolicy": "Always",
    "securityContext.supplementalGroups": [7],
    "securityContext.sysctls": [{"name": "net.core.somaxconn", "value": "1"}],
    "service.clusterIP": "None",
    "service.externalIPs": ["192.0.2.1"],
    "service.externalTrafficPolicy": "Local",
    "service.healthCheckNodePort": 32100,
    "service.internalTrafficPolicy": "Local",
    "service.ipFamilies": ["IPv6"],
    "service.ipFamilyPolicy": "PreferDualStack",
    "service.loadBalancerIP": "192.0.2.1",
    "service.loadBalancerSourceRanges": ["10.0.0.0/8"],
    "service.nodePort": 30500,
    "service.sessionAffinity": "ClientIP",
    "service.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 7}},
    "service.type": "NodePort",
    "serviceAccount.create": True,
    "settlePeriod": "2m",
    "size": "11Gi",
    "startDelay": "2m",
    "memoryStartDelay": "11m",
    "startingDeadline": "2h",
    "storage": "s3",
    "swift": {"region": "r"},
    "terminationGracePeriodSeconds": 300,
    "timeout": "7m",
    "tls.certManager.duration": "30d",
    "tls.certManager.privateKey": {"algorithm": "ECDSA"},
    "tls.certManager.renewBefore": "7d",
    "tls.certManager.usages": ["server auth"],
    "tls.minimumVersion": "1.3",
    "tls.mode": "selfSigned",
    "tls.names": ["a.example.com"],
    "tls.restartOnRenewal": True,
    "tls.selfSigned.authorityLifetime": "800d",
    "tls.selfSigned.lifetime": "90d",
    "tolerations": _TOLERATIONS,
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "updateStrategy": {"type": "Recreate"},
    "uploadGracePeriod": "2d",
}
"""By a value's name or the end of it, where it cannot be made from the default."""


def leaves(values: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield where each value stands, and its default; an empty map is one value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def all_leaves() -> list[tuple[Path, Any]]:
    return list(leaves(mapping(CHART / "values.yaml")))


def context(path: Path) -> dict[str, Any]:
    """Return values with which this one means something; nothing in them is random."""
    for length in range(len(path), 0, -1):
        if (found := CONTEXTS.get(".".join(path[:length]))) is not None:
            return merged(GIVEN, found)
    return GIVEN


def changed(path: Path, default: Any) -> dict[str, Any]:
    """Return the context with another value at this place."""
    around: Any = context(path)
    value, present = other(path, default), around
    for key in path:
        present = present.get(key) if isinstance(present, Mapping) else None
    return merged(around, nested(path, default if present == value else value))


def other(path: Path, default: Any) -> Any:
    """Return a value that is not the default."""
    for start in range(len(path)):
        if (name := ".".join(path[start:])) in OTHERS:
            return OTHERS[name]
    if path[-1].endswith("Probe"):
        return OTHERS["probe"]
    match default:
        case bool():
            return not default
        case int() | float():
            return default + 1
        case list() | dict():
            raise KeyError(f"{'.'.join(path)}: add a value to OTHERS")
        case _:
            return "changed"


def nested(path: Path, value: Any) -> dict[str, Any]:
    """Return values with this one alone."""
    result = value
    for key in reversed(path):
        result = {key: result}
    return dict(result)
