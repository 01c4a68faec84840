"""TLS of a release: whom clients believe, what is served, and who issues certificates.

The issuer stands in for cert-manager's controllers, which are not to be had: as they do, it fills
the Secret of each Certificate from the object's spec, again when that changes or when it is asked
to, and tells of it in the status. The Certificate's definition is cert-manager's own.
"""

import base64
import hashlib
import http.client
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from support.checkout import ROOT
from support.client import Client
from support.cluster import Cluster, Release
from support.run import run
from support.waiting import until

_EARLIER = timedelta(minutes=5)  # nodes' clocks
_LOOK = 0.5  # seconds between two looks of the stand-in

Pair = tuple[bytes, bytes]
"""A certificate and its key, PEM."""


@dataclass(frozen=True)
class Authority:
    """Somebody whose certificate people believe; what it signs is for two days."""

    name: str
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    _made: list[x509.Certificate] = field(default_factory=list)

    @property
    def certificate(self) -> x509.Certificate:
        """Its own, made on first use."""
        if not self._made:
            name, now = _name(self.name), datetime.now(UTC)
            made = (
                x509.CertificateBuilder(name, name, self._key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - _EARLIER)
                .not_valid_after(now + timedelta(days=2))
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .sign(self._key, hashes.SHA256())
            )
            self._made.append(made)
        return self._made[0]

    @property
    def pem(self) -> bytes:
        """Its certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(
        self,
        dns: list[str],
        addresses: list[str],
        *,
        lifetime: timedelta = timedelta(days=2),
        is_ec: bool = True,
    ) -> Pair:
        """Return a certificate for these names and addresses, with a key of its own."""
        key = (
            ec.generate_private_key(ec.SECP256R1())
            if is_ec
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
        names += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(self.certificate.subject, _name("a server"), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return made.public_bytes(Encoding.PEM), private


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of the first certificate in a PEM text."""
    der = x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
    return hashlib.sha256(der).hexdigest()


def names_in(pem: bytes) -> set[str]:
    """Return the names and addresses that the first certificate is for."""
    found = x509.load_pem_x509_certificates(pem)[0].extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(each.value) for each in names}


def secret_of(release: Release, name: str) -> Mapping[str, bytes]:
    """Return what a Secret of the release's namespace holds."""
    found = release.cluster.get("secret", name, "-n", release.namespace)
    return {key: base64.b64decode(text) for key, text in found["data"].items()}


def give_secret(release: Release, name: str, pair: Pair, authority: bytes) -> None:
    """Make or renew a Secret as a person does."""
    data = {"tls.crt": pair[0], "tls.key": pair[1], "ca.crt": authority}
    release.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
    )


def believing(bundle: bytes) -> ssl.SSLContext:
    """Return what believes nobody but these authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=bundle.decode())
    return context


def served(release: Release, bundle: bytes, name: str = "127.0.0.1") -> str:
    """Return the SHA-256 of the certificate that is served, once it is believed for a name."""

    def asked() -> str:
        try:
            with (
                socket.create_connection(("127.0.0.1", release.port), timeout=5) as connection,
                believing(bundle).wrap_socket(connection, server_hostname=name) as wrapped,
            ):
                return hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
        except ssl.SSLCertVerificationError:
            raise
        except OSError:
            return ""  # a NodePort follows its pod a second or two later

    return until(asked, what=f"TLS at {release.address}", timeout=60, pause=0.2)


def https_client(release: Release, bundle: bytes) -> Client:
    """Return a client over HTTPS for one thread, once the registry answers it."""
    served(release, bundle)
    context = believing(bundle)
    return Client(
        f"https://{release.address}",
        connect=lambda: http.client.HTTPSConnection(
            "127.0.0.1", release.port, timeout=30, context=context
        ),
    )


def define_certificates(cluster: Cluster) -> None:
    """Have cert-manager's definition of a Certificate in the cluster; it stays."""
    folder = run("python3", ROOT / "ci/crds.py", timeout=300, cwd=ROOT).stdout.split()[-1]
    path = f"{folder}/cert-manager.io_certificates.yaml"
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
    # Not `kubectl wait`, which fails on an object that is so new that it has no conditions at all.
    name = "certificates.cert-manager.io"
    until(
        lambda: cluster.kubectl("get", name, "-n", "default", check=False).find("error") < 0,
        what=f"the API has {name}",
        pause=0.3,
    )


@dataclass
class Issuer:
    """Fills the Secrets of all Certificates in a namespace."""

    cluster: Cluster
    namespace: str
    authority: Authority = field(default_factory=lambda: Authority("the stand-in of cert-manager"))
    errors: list[BaseException] = field(default_factory=list)

    def look(self) -> None:
        """Issue what is to be issued just now."""
        for each in self.cluster.get("certificates.cert-manager.io", "-n", self.namespace)["items"]:
            if self._is_due(each):
                self._issue(each)

    def renew(self, name: str) -> None:
        """Ask for another certificate, as `cmctl renew` does; it comes with the next look."""
        self._tell(name, {"conditions": [_condition("Issuing", "ManuallyTriggered")]})

    def _is_due(self, certificate: Mapping[str, Any]) -> bool:
        status = certificate.get("status") or {}
        asked = any(
            each["type"] == "Issuing" and each["status"] == "True"
            for each in status.get("conditions") or ()
        )
        is_seen = status.get("conditions") and all(
            each.get("observedGeneration") == certificate["metadata"]["generation"]
            for each in status["conditions"]
        )
        name = certificate["spec"]["secretName"]
        found = self.cluster.kubectl(
            "get", "secret", name, "-n", self.namespace, "--ignore-not-found", "-o", "name"
        )
        return asked or not is_seen or not found

    def _issue(self, certificate: Mapping[str, Any]) -> None:
        spec, metadata = certificate["spec"], certificate["metadata"]
        is_ec = (spec.get("privateKey") or {}).get("algorithm") == "ECDSA"
        # cert-manager's own default; it writes a duration as Go does: 2160h0m0s.
        hours = int(str(spec.get("duration") or "2160h").partition("h")[0])
        lifetime = timedelta(hours=hours)
        certificate_pem, key = self.authority.sign(
            spec.get("dnsNames") or [], spec.get("ipAddresses") or [],
            lifetime=lifetime, is_ec=is_ec,
        )  # fmt: skip
        data = {"tls.crt": certificate_pem, "tls.key": key, "ca.crt": self.authority.pem}
        template = spec.get("secretTemplate") or {}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": spec["secretName"],
                "labels": template.get("labels") or {},
                "annotations": {
                    **(template.get("annotations") or {}),
                    "cert-manager.io/certificate-name": metadata["name"],
                    "cert-manager.io/issuer-name": spec["issuerRef"]["name"],
                },
            },
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
        self.cluster.kubectl(
            "apply", "--server-side", "--field-manager=cert-manager-certificates-issuing",
            "--force-conflicts", "-n", self.namespace, "-f", "-", input=json.dumps(secret),
        )  # fmt: skip
        now = datetime.now(UTC)
        revision = int((certificate.get("status") or {}).get("revision") or 0) + 1
        self._tell(
            metadata["name"],
            {
                "revision": revision,
                "notBefore": _time(now - _EARLIER),
                "notAfter": _time(now + lifetime),
                "renewalTime": _time(now + lifetime * 2 / 3),
                "conditions": [_condition("Ready", "Ready", metadata["generation"])],
            },
        )

    def _tell(self, name: str, status: Mapping[str, Any]) -> None:
        self.cluster.kubectl(
            "patch", "certificates.cert-manager.io", name, "-n", self.namespace,
            "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}),
        )  # fmt: skip


@contextmanager
def issuing(issuer: Issuer) -> Iterator[Issuer]:
    """Have it look again and again meanwhile; what it could not do fails the test at the end."""
    stop = threading.Event()

    def looking() -> None:
        while not stop.wait(_LOOK):
            try:
                issuer.look()
            except BaseException as error:  # raised below, in the test's own thread
                issuer.errors.append(error)
                return

    thread = threading.Thread(target=looking, name="stand-in issuer")
    thread.start()
    try:
        yield issuer
    finally:
        stop.set()
        thread.join()
    if issuer.errors:
        raise issuer.errors[0]


def _condition(kind: str, reason: str, generation: int = 0) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": reason,
        "lastTransitionTime": _time(datetime.now(UTC)),
        **({"observedGeneration": generation} if generation else {}),
    }


def _time(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
