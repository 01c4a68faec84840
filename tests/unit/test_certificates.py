"""The authority and its certificate: what is kept, what is renewed and why."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from registry_gc.addresses import Address
from registry_gc.certificates import Held, Terms, hosts_in, hosts_of, renewed

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOSTS = ("registry.default.svc", "localhost", "127.0.0.1", "10.0.0.5", "fd00::5")
TERMS = Terms("my-release", HOSTS)
YEAR = timedelta(days=365)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def held() -> Held:
    """What a first run makes."""
    return renewed(Held(), TERMS, NOW).held


@pytest.fixture(scope="module")
def after(held: Held) -> Held:
    """Nine years later, when the authority would end before a new certificate does."""
    return renewed(held, TERMS, NOW + timedelta(days=9 * 365 + 30)).held


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def bundle(held: Held) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(held.bundle)


class TestTheFirst:
    def test_both_are_made(self) -> None:
        found = renewed(Held(), TERMS, NOW)

        assert (found.why_authority, found.why_certificate) == ("there is none", "there is none")
        assert found.ends == NOW + YEAR

    def test_it_is_for_every_name_and_address(self, held: Held) -> None:
        """Clients look only at these. Seen to fail: put addresses in as names."""
        names = certificate(held.certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )

        assert names.value.get_values_for_type(x509.DNSName) == [
            "registry.default.svc",
            "localhost",
        ]
        assert [str(each) for each in names.value.get_values_for_type(x509.IPAddress)] == [
            "127.0.0.1",
            "10.0.0.5",
            "fd00::5",
        ]
        assert hosts_in(held.certificate) == set(HOSTS)

    def test_it_is_a_servers_and_signs_nothing(self, held: Held) -> None:
        extensions = certificate(held.certificate).extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value

        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
            ExtendedKeyUsageOID.SERVER_AUTH
        ]
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert (usage.digital_signature, usage.key_cert_sign) == (True, False)

    def test_the_authority_signs_servers_only(self, held: Held) -> None:
        """Seen to fail: no path length."""
        extensions = certificate(held.authority).extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)

        assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
        assert constraints.critical
        assert extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign

    def test_the_keys_are_theirs(self, held: Held) -> None:
        for pem, key in (
            (held.certificate, held.key),
            (held.authority, held.authority_key),
        ):
            private = load_pem_private_key(key, None)
            assert isinstance(private, ec.EllipticCurvePrivateKey)
            assert private.public_key() == certificate(pem).public_key()
        assert held.key != held.authority_key

    def test_clocks_may_differ(self, held: Held) -> None:
        """Seen to fail: let it begin now."""
        assert certificate(held.certificate).not_valid_before_utc == NOW - timedelta(hours=1)
        assert certificate(held.authority).not_valid_before_utc == NOW - timedelta(hours=1)

    @pytest.mark.parametrize(
        ("option", "host"),
        [
            ("-verify_hostname", "registry.default.svc"),
            ("-verify_ip", "10.0.0.5"),
            ("-verify_ip", "fd00::5"),
        ],
    )
    def test_openssl_believes_it(self, held: Held, tmp_path: Path, option: str, host: str) -> None:
        """An opinion that is not ours, as strict as it can be."""
        (tmp_path / "ca").write_bytes(held.bundle)
        (tmp_path / "leaf").write_bytes(held.certificate)
        at = str(int(NOW.timestamp()))
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", at, option,
             host, "-CAfile", str(tmp_path / "ca"), str(tmp_path / "leaf")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode == 0, done.stdout + done.stderr


class TestKept:
    @pytest.mark.parametrize("days", [0, 1, 200, 243])
    def test_what_is_good_stays_byte_for_byte(self, held: Held, days: int) -> None:
        """Every upgrade runs this. Seen to fail: sign anew each time."""
        found = renewed(held, TERMS, NOW + timedelta(days=days))

        assert found.held == held
        assert (found.why_authority, found.why_certificate) == ("", "")

    def test_fewer_names_are_no_reason(self, held: Held) -> None:
        """A node that has left. Seen to fail: compare the sets."""
        assert renewed(held, replace(TERMS, hosts=HOSTS[:2]), NOW).held == held

    def test_an_address_is_the_same_however_it_is_written(self, held: Held) -> None:
        hosts = hosts_of([Address.parse("[FD00:0::5]:5000"), Address.parse("LOCALHOST")])

        assert renewed(held, replace(TERMS, hosts=hosts), NOW).held == held


class TestRenewed:
    def test_in_its_last_third(self, held: Held) -> None:
        """Seen to fail: renew on its last day."""
        found = renewed(held, TERMS, NOW + timedelta(days=250))

        assert found.why_certificate == "it ends on 2027-11-24"
        assert found.why_authority == ""
        assert found.held.authority == held.authority
        assert found.held.bundle == held.bundle
        assert found.ends == NOW + timedelta(days=250) + YEAR

    def test_for_a_new_name(self, held: Held) -> None:
        """Seen to fail: look at the end only."""
        hosts = (*HOSTS, "10.0.0.6", "registry.lan")
        found = renewed(held, replace(TERMS, hosts=hosts), NOW)

        assert found.why_certificate == "it is not for 10.0.0.6, registry.lan"
        assert hosts_in(found.held.certificate) == set(hosts)
        assert found.held.authority == held.authority

    @pytest.mark.parametrize(
        ("damage", "why"),
        [
            ({"certificate": b""}, "there is none"),
            ({"key": b""}, "there is none"),
            ({"certificate": b"nonsense"}, "it cannot be read"),
            ({"key": b"nonsense"}, "it cannot be read"),
        ],
    )
    def test_what_is_missing_or_damaged(
        self, held: Held, damage: dict[str, bytes], why: str
    ) -> None:
        found = renewed(replace(held, **damage), TERMS, NOW)

        assert (found.why_certificate, found.why_authority) == (why, "")

    def test_a_key_of_another(self, held: Held) -> None:
        """The registry would not start. Seen to fail: do not compare them."""
        other = renewed(Held(), TERMS, NOW).held
        found = renewed(replace(held, key=other.key), TERMS, NOW)

        assert found.why_certificate == "its key does not belong to it"

    def test_one_that_another_authority_signed(self, held: Held) -> None:
        """Seen to fail: compare the issuer's name only, or nothing."""
        other = renewed(Held(), TERMS, NOW).held
        mixed = replace(held, certificate=other.certificate, key=other.key)
        found = renewed(mixed, TERMS, NOW)

        assert found.why_certificate == "its authority is another one"
        assert found.held.authority == held.authority

    def test_one_from_the_future(self, held: Held) -> None:
        """The clock was wrong when it was made; no client believes it."""
        found = renewed(held, TERMS, NOW - timedelta(days=2))

        assert found.why_authority == "it begins in the future"
        assert found.why_certificate == "it begins in the future"

    def test_the_bundle_alone(self, held: Held) -> None:
        """Somebody emptied it. Seen to fail: write it only with a new certificate."""
        found = renewed(replace(held, bundle=b""), TERMS, NOW)

        assert found.why_certificate == ""
        assert found.held.bundle == held.authority


class TestANewAuthority:
    def test_before_it_ends_before_what_it_signs(self, held: Held) -> None:
        """Seen to fail: renew it when it has ended."""
        last = NOW + timedelta(days=9 * 365)
        kept = renewed(held, TERMS, last)
        found = renewed(held, TERMS, last + timedelta(days=1))

        assert kept.why_authority == ""
        assert found.why_authority.startswith("it ends on 2036-11-21, before a new certificate")
        assert found.why_certificate == "it ends on 2027-11-24"

    def test_it_signs_once_everybody_may_have_learned_of_it(self, held: Held) -> None:
        """A registry that starts at once would serve what no node trusts yet.

        Seen to fail: sign anew at once; sign only when the old certificate ends.
        """
        longer = replace(TERMS, authority_lifetime=30 * YEAR, lifetime=11 * YEAR)
        at_once = renewed(held, longer, NOW + DAY)
        soon = renewed(at_once.held, longer, NOW + DAY + timedelta(minutes=14))
        then = renewed(soon.held, longer, NOW + DAY + timedelta(minutes=16))

        assert (at_once.why_authority[:7], at_once.why_certificate) == ("it ends", "")
        assert at_once.held.certificate == held.certificate
        assert bundle(at_once.held) == [
            certificate(at_once.held.authority), certificate(held.authority),
        ]  # fmt: skip
        assert soon.held == at_once.held
        assert then.why_certificate == "its authority is another one"
        assert bundle(then.held) == bundle(at_once.held)

    def test_it_signs_at_once_for_a_name_that_is_missing(self, held: Held) -> None:
        """Seen to fail: wait with that too."""
        terms = replace(TERMS, authority_lifetime=30 * YEAR, lifetime=11 * YEAR)
        found = renewed(held, replace(terms, hosts=(*HOSTS, "new")), NOW + DAY)

        assert found.why_certificate == "it is not for new"

    def test_the_old_one_stays_in_the_bundle(self, held: Held, after: Held) -> None:
        """A registry serves what it read at its start. Seen to fail: the new one alone."""
        assert bundle(after) == [certificate(after.authority), certificate(held.authority)]

    def test_until_what_it_signed_has_ended(self, after: Held) -> None:
        """Seen to fail: keep it until it ends itself, or drop it at the next run."""
        began = NOW + timedelta(days=9 * 365 + 30)
        short = replace(TERMS, lifetime=timedelta(days=30))
        before_end = renewed(after, short, began + timedelta(days=29)).held
        after_end = renewed(after, short, began + timedelta(days=31)).held

        assert len(bundle(before_end)) == 2
        assert bundle(after_end) == [certificate(after.authority)]

    def test_they_have_different_names(self, held: Held, after: Held) -> None:
        """Programs look an issuer up by its name. Seen to fail: one name for all."""
        assert certificate(held.authority).subject != certificate(after.authority).subject

    def test_a_lost_key_is_one_reason(self, held: Held) -> None:
        found = renewed(replace(held, authority_key=b""), TERMS, NOW)

        assert found.why_authority == "there is none"
        assert certificate(held.authority) in bundle(found.held)

    def test_a_bundle_does_not_grow_without_end(self, held: Held) -> None:
        now = held
        for _ in range(8):
            now = renewed(replace(now, authority=b"", authority_key=b""), TERMS, NOW).held

        assert len(bundle(now)) == 5

    def test_an_authority_that_is_none(self, held: Held) -> None:
        """A server's certificate was put there. Seen to fail: do not look whether it may sign."""
        leaf = replace(held, authority=held.certificate, authority_key=held.key)

        assert renewed(leaf, TERMS, NOW).why_authority == "its key does not belong to it"
