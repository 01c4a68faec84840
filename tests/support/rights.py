"""What each command asks of the Kubernetes API: the chart's Roles grant this and no more.

Pairs of a verb and a resource. `create` of a named object is server-side apply's: it can be granted
by `resourceNames`, unlike the one of Events.
"""

Rights = frozenset[tuple[str, str]]

CERTIFICATES: Rights = frozenset(
    {
        ("get", "secrets"), ("create", "secrets"), ("patch", "secrets"),
        ("get", "services"), ("list", "nodes"), ("list", "pods"),
        ("get", "deployments"), ("create", "events"),
    }
)  # fmt: skip
"""Services, nodes and pods for the names to certify; a Deployment for the Events about it."""

ENDPOINT: Rights = CERTIFICATES | frozenset(
    {
        ("get", "ingresses"), ("get", "httproutes"),
        ("get", "registryendpoints"), ("create", "registryendpoints"),
        ("patch", "registryendpoints"), ("patch", "registryendpoints/status"),
        ("get", "configmaps"), ("create", "configmaps"), ("patch", "configmaps"),
        ("delete", "configmaps"),
    }
)  # fmt: skip
"""The ConfigMaps are that of KEP-1755 in kube-public, and the switch, which is only taken back."""

ROLLOUT: Rights = frozenset({("patch", "deployments")})
"""Besides, where no sidecar restarts the registry for a renewed certificate."""

REMOVE: Rights = frozenset(
    {
        ("get", "registryendpoints"), ("patch", "registryendpoints"),
        ("delete", "registryendpoints"), ("get", "daemonsets"),
        ("get", "configmaps"), ("delete", "configmaps"),
        ("get", "secrets"), ("delete", "secrets"),
        ("get", "cronjobs"), ("patch", "cronjobs"),
    }
)  # fmt: skip
"""The CronJob is suspended first, or it would make anew what is removed."""

WITHDRAW: Rights = frozenset(
    {("get", "registryendpoints"), ("patch", "registryendpoints"), ("get", "daemonsets")}
)

HOOK: Rights = frozenset({("list", "pods"), ("get", "deployments"), ("create", "events")})

READ_ONLY: Rights = HOOK | frozenset(
    {
        ("get", "configmaps"), ("create", "configmaps"), ("patch", "configmaps"),
        ("delete", "configmaps"),
    }
)  # fmt: skip

NODE_TRUST: Rights = frozenset({("get", "registryendpoints")})
