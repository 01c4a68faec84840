"""Authorities and certificates for tests, made with openssl."""

from dataclasses import dataclass
from pathlib import Path

from support.run import run

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, as PEM files."""

    crt: Path
    key: Path


def self_signed(
    folder: Path, names: str, *, days: int = 2, authority: bool = False, name: str = "own"
) -> Certificate:
    """Return a certificate for names such as `DNS:localhost,IP:127.0.0.1`, signed by itself."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    run(
        "openssl", "req", "-x509", *_KEY, "-days", str(days), "-subj", f"/CN={name}",
        "-addext", f"subjectAltName={names}",
        "-addext", f"basicConstraints=critical,CA:{str(authority).upper()}",
        "-keyout", made.key, "-out", made.crt,
    )  # fmt: skip
    return made


def signed_by(authority: Certificate, folder: Path, names: str, *, name: str) -> Certificate:
    """Return a certificate that an authority has signed."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    run(
        "openssl", "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
        "-CA", authority.crt, "-CAkey", authority.key, "-keyout", made.key, "-out", made.crt,
    )  # fmt: skip
    return made
