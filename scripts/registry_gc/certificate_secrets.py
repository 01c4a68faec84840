"""Where a release's own certificate and its authority are kept: in two Secrets.

The registry's pod mounts the first: tls.crt, tls.key and ca.crt, as every program that knows
Secrets of the type kubernetes.io/tls expects them. The authority's key lies in a second one that no
pod mounts and only this script's service account may read: whoever has it can sign for any host,
and people trust the authority on their own machines. Kept at all, because an authority whose key is
thrown away would be another one at each renewal, to be trusted by hand again.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_gc.addresses import Address
from registry_gc.certificates import Held, Renewal, Terms, hosts_of, renewed
from registry_gc.environment import addresses, length, required
from registry_gc.errors import ConfigurationError, GuardError
from registry_gc.kube_api import Api, ApiConflictError, Object, path_of
from registry_gc.ownership import Owner

MANAGER = "registry-gc-certificates"
NOTHING = "no certificate was made"

_ATTEMPTS = 3  # two Jobs may renew at the same time; the second sees what the first made
_LEAST_LIFETIME = timedelta(hours=1)
_COMPONENT = "certificates"

Echo = Callable[[str], object]


@dataclass(frozen=True)
class CertificateSettings:
    """Which Secrets, and for which hosts whatever else is found in the cluster."""

    owner: Owner
    secret: str
    authority_secret: str
    hosts: tuple[Address, ...] = ()
    lifetime: timedelta = timedelta(days=365)
    authority_lifetime: timedelta = timedelta(days=3650)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], owner: Owner
    ) -> "CertificateSettings | None":
        """Read GC_TLS_SECRET, GC_TLS_AUTHORITY_SECRET, GC_TLS_HOSTS, GC_TLS_LIFETIME and
        GC_TLS_AUTHORITY_LIFETIME; None where there is no authority of the release's own.

        Raises ConfigurationError, which names the variable.
        """
        authority_secret = environment.get("GC_TLS_AUTHORITY_SECRET", "").strip()
        if not authority_secret:
            return None
        secret = required(environment, "GC_TLS_SECRET", "the certificate's Secret", NOTHING)
        hosts = addresses(environment, "GC_TLS_HOSTS")
        lifetime = length(environment, "GC_TLS_LIFETIME", cls.lifetime)
        authority = length(environment, "GC_TLS_AUTHORITY_LIFETIME", cls.authority_lifetime)
        if lifetime < _LEAST_LIFETIME or authority < 2 * lifetime:
            raise ConfigurationError(
                f"{NOTHING}: it cannot live for {lifetime} under an authority of {authority}",
                why="it is renewed in its last third, and its authority must outlive it",
                next_step="set GC_TLS_LIFETIME to at least 1h, such as 365d, and "
                "GC_TLS_AUTHORITY_LIFETIME to at least twice that",
            )
        return cls(owner, secret, authority_secret, hosts, lifetime, authority)


def keep(
    api: Api,
    settings: CertificateSettings,
    found: tuple[Address, ...],
    echo: Echo,
    now: datetime | None = None,
) -> Renewal:
    """See that there is a certificate for the settings' hosts and those that were found; say what
    was done. Raises CollectorError; a Secret that is not ours is left alone.
    """
    api = replace(api, consequence=NOTHING)
    terms = Terms(
        settings.owner.release,
        hosts_of((*settings.hosts, *found)),
        settings.lifetime,
        settings.authority_lifetime,
    )
    if not terms.hosts:
        raise ConfigurationError(
            f"{NOTHING}: it would be for no host",
            why="GC_TLS_HOSTS is empty and no address was found in the cluster",
            next_step="set GC_TLS_HOSTS to the registry's names, with spaces between them",
        )
    for attempt in range(_ATTEMPTS):
        try:
            return _kept(api, settings, terms, now or datetime.now(UTC), echo)
        except ApiConflictError as error:
            if attempt == _ATTEMPTS - 1:
                raise _edited(settings, error) from error
    raise AssertionError  # the loop returns or raises


def remove(api: Api, settings: CertificateSettings, echo: Echo) -> None:
    """Remove what `keep` made, before an uninstall. Raises CollectorError."""
    api = replace(api, consequence="the certificate was not removed")
    for name in (settings.secret, settings.authority_secret):
        path = _path(settings, name)
        found = api.get(path)
        if found is None:
            continue
        if not settings.owner.owns(found):
            echo(f"the Secret {name} is not this release's and stays")
        elif api.delete(path, found["metadata"]["uid"]):
            echo(f"the Secret {name} was removed")


def _kept(
    api: Api, settings: CertificateSettings, terms: Terms, now: datetime, echo: Echo
) -> Renewal:
    secret = api.get(_path(settings, settings.secret))
    authority = api.get(_path(settings, settings.authority_secret))
    for found in (secret, authority):
        settings.owner.check(
            found,
            "Secret",
            "if it is your certificate, copy it under another name, and name that in "
            "tlsSecretName, with tls.mode: secret; otherwise remove it",
        )
    held = _held(secret, authority)
    renewal = renewed(held, terms, now)
    # The authority first: what it signed would be of no use without its key.
    if _differs(held, renewal.held, "authority", "authority_key"):
        _write(
            api,
            settings,
            settings.authority_secret,
            authority,
            {"ca.crt": renewal.held.authority, "ca.key": renewal.held.authority_key},
            "Opaque",
        )
        echo(f"made an authority: {renewal.why_authority}")
    if _differs(held, renewal.held, "certificate", "key", "bundle"):
        _write(
            api,
            settings,
            settings.secret,
            secret,
            {
                "tls.crt": renewal.held.certificate,
                "tls.key": renewal.held.key,
                "ca.crt": renewal.held.bundle,
            },
            "kubernetes.io/tls",
        )
    ends = f"{renewal.ends:%Y-%m-%d}"
    if renewal.why_certificate:
        hosts = ", ".join(terms.hosts)
        echo(f"made a certificate for {hosts}, until {ends}: {renewal.why_certificate}")
    else:
        echo(f"kept the certificate, which is good until {ends}")
    return renewal


def _write(
    api: Api,
    settings: CertificateSettings,
    name: str,
    found: Object | None,
    data: Mapping[str, bytes],
    kind: str,
) -> None:
    metadata = settings.owner.metadata(name, _COMPONENT)
    if found is not None:
        # What was read, or nothing: another Job may have written meanwhile.
        metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": kind,
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }
    # Never by force: a field that somebody else has written is theirs.
    api.apply(_path(settings, name), body, MANAGER, force=False)


def _held(secret: Object | None, authority: Object | None) -> Held:
    return Held(
        content(secret, "tls.crt"),
        content(secret, "tls.key"),
        content(secret, "ca.crt"),
        content(authority, "ca.crt"),
        content(authority, "ca.key"),
    )


def content(secret: Mapping[str, Any] | None, key: str) -> bytes:
    """Return what a Secret holds under a key, nothing if it does not."""
    text = ((secret or {}).get("data") or {}).get(key) or ""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _differs(before: Held, after: Held, *fields: str) -> bool:
    return any(getattr(before, field) != getattr(after, field) for field in fields)


def _path(settings: CertificateSettings, name: str) -> str:
    return path_of("v1", "secrets", settings.owner.namespace, name)


def _edited(settings: CertificateSettings, error: ApiConflictError) -> GuardError:
    return GuardError(
        f"{NOTHING}: the Secret {settings.secret} or {settings.authority_secret} was changed by "
        "somebody else",
        why=error.why,
        next_step="to have a certificate of your own, name its Secret in tlsSecretName; to have "
        "them made anew, remove both Secrets",
    )
