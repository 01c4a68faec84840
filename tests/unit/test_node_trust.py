"""What a node's runtime is given to trust: the text, the files, and the script that keeps them."""

import errno
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from registry_gc.addresses import Address
from registry_gc.certificates import Held, Terms, renewed
from registry_gc.endpoint_object import PLURAL, VERSION
from registry_gc.errors import ConfigurationError, StorageError
from registry_gc.kube_api import path_of
from registry_gc.node_trust import NodeTrust, NodeTrustSettings, remove
from registry_gc.trust_content import (
    Trust,
    certificates_in,
    config_path_problem,
    files_of,
    mark,
    source_of,
    trusts_of,
)
from registry_gc.trust_files import DetachedError, TrustFiles
from support.fake_kubernetes import FakeKubernetes
from support.kube import api_of
from support.waiting import until

US = "registry/test"
SOURCE = "registry/one"
ENDPOINT = path_of(VERSION, PLURAL, "registry", "one")
HELD = renewed(Held(), Terms("test", ("a",)), datetime.now(UTC)).held
BUNDLE = HELD.bundle.decode()
LAN = Address("registry.lan", 5000)
LOOPBACK = Address("127.0.0.1", 30500)


def entry(host: str = "10.0.0.5:30500", scheme: str = "https", **more: Any) -> dict[str, Any]:
    return {"host": host, "scheme": scheme, "trust": "Pods", **more}


def endpoint(*entries: Mapping[str, Any], bundle: str = BUNDLE, **spec: Any) -> dict[str, Any]:
    groups = {"pods": {"caBundle": bundle}, "clients": {"caBundle": ""}}
    return {"spec": spec, "status": {**groups, "nodes": list(entries)}}


def read(found: dict[str, Any], node_address: str = "10.0.0.7") -> tuple[list[Trust], list[str]]:
    problems: list[str] = []
    return trusts_of(found, SOURCE, node_address, problems, (LAN,)), problems


def hosts_toml(trust: Trust) -> dict[str, Any]:
    files = files_of([trust], US, "containerd").files
    return tomllib.loads(files[f"certs.d/{trust.host}/hosts.toml"])


class TestContainerd:
    def test_server_and_host_both_have_the_ca(self) -> None:
        """Or a missing image looks like a bad certificate. Seen to fail: `ca` in the table only."""
        at = Address("10.0.0.5", 30500)

        assert hosts_toml(Trust(at, at, "https", BUNDLE, SOURCE)) == {
            "server": "https://10.0.0.5:30500",
            "ca": "ca.crt",
            "host": {
                "https://10.0.0.5:30500": {"capabilities": ["pull", "resolve"], "ca": "ca.crt"}
            },
        }

    def test_one_name_for_all_nodes(self) -> None:
        found = hosts_toml(Trust(LAN, LOOPBACK, "https", BUNDLE, SOURCE))

        assert found["server"] == "https://127.0.0.1:30500"
        assert list(found["host"]) == ["https://127.0.0.1:30500"]

    def test_plain_http_says_so(self) -> None:
        """Else containerd speaks HTTPS to an HTTP server. Seen to fail: leave out the scheme."""
        found = files_of([Trust(LAN, LOOPBACK, "http", "", SOURCE)], US, "containerd").files

        assert list(found) == ["certs.d/registry.lan:5000/hosts.toml"]
        assert tomllib.loads(*found.values()) == {
            "server": "http://127.0.0.1:30500",
            "host": {"http://127.0.0.1:30500": {"capabilities": ["pull", "resolve"]}},
        }

    def test_without_a_bundle_the_systems_own_trust_has_to_do(self) -> None:
        assert "ca" not in hosts_toml(Trust(LAN, LAN, "https", "", SOURCE))

    def test_an_ipv6_node(self) -> None:
        at = Address("fd00::5", 30500)
        files = files_of([Trust(at, at, "https", BUNDLE, SOURCE)], US, "containerd").files

        assert set(files) == {
            "certs.d/[fd00::5]:30500/hosts.toml",
            "certs.d/[fd00::5]:30500/ca.crt",
        }
        assert tomllib.loads(files["certs.d/[fd00::5]:30500/hosts.toml"])["server"] == (
            "https://[fd00::5]:30500"
        )

    def test_every_file_carries_the_mark(self) -> None:
        files = files_of([Trust(LAN, LOOPBACK, "https", BUNDLE, SOURCE)], US, "containerd").files

        assert len(files) == 2
        assert {source_of(content, US) for content in files.values()} == {SOURCE}
        # A certificate's file may begin with text: Go and OpenSSL look for BEGIN.
        assert certificates_in(files["certs.d/registry.lan:5000/ca.crt"]) == BUNDLE


class TestCrio:
    def test_a_name_of_its_own_is_a_location(self) -> None:
        found = files_of([Trust(LAN, LOOPBACK, "https", BUNDLE, SOURCE)], US, "crio").files

        # It looks for the certificate of what it asks, not of what the image is called.
        assert set(found) == {
            "certs.d/127.0.0.1:30500/ca.crt",
            "registries.conf.d/registry-gc-registry.lan-5000.conf",
        }
        assert tomllib.loads(found["registries.conf.d/registry-gc-registry.lan-5000.conf"]) == {
            "registry": [
                {"prefix": "registry.lan:5000", "location": "127.0.0.1:30500", "insecure": False}
            ]
        }

    def test_plain_http_is_insecure(self) -> None:
        found = files_of([Trust(LAN, LAN, "http", "", SOURCE)], US, "crio").files

        (content,) = found.values()
        assert tomllib.loads(content)["registry"][0]["insecure"] is True

    def test_the_host_itself_needs_its_certificate_only(self) -> None:
        found = files_of([Trust(LAN, LAN, "https", BUNDLE, SOURCE)], US, "crio").files

        assert list(found) == ["certs.d/registry.lan:5000/ca.crt"]


class TestWhatAnEndpointAsks:
    def test_loopback_needs_none(self) -> None:
        assert read(endpoint(entry("127.0.0.1:30500"), entry("localhost:30500"))) == ([], [])

    def test_through_the_nodes_own_address(self) -> None:
        """Seen to fail: ask the name."""
        ((found,), _) = read(endpoint(entry("registry.lan:5000", nodePort=30500)))

        assert found.server == Address("10.0.0.7", 30500)

    def test_whose_bundle_it_is(self) -> None:
        ((by_pod, by_edge), _) = read(endpoint(entry(), entry("r.example", trust="Clients")))

        assert (by_pod.bundle, by_edge.bundle) == (BUNDLE, "")

    def test_withdrawn_is_nothing(self) -> None:
        assert read(endpoint(entry(), withdrawn=True)) == ([], [])

    @pytest.mark.parametrize(
        "host", ["docker.io", "registry-1.docker.io", "quay.io:443", "ghcr.io", "eu.gcr.io"]
    )
    def test_nobody_takes_over_a_public_registry(self, host: str) -> None:
        """Who may edit one object would have every node's images. Seen to fail: take any host."""
        found, problems = read(endpoint(entry(host, server="10.0.0.66:5000")))

        assert found == []
        assert "is a public registry and is left alone" in problems[0]

    @pytest.mark.parametrize("way", [{"server": "10.0.0.66:5000"}, {"nodePort": 30500}])
    def test_no_object_says_which_name_leads_elsewhere(self, way: dict[str, Any]) -> None:
        """The list of public ones can never be whole: somebody's own registry is on none.

        Seen to fail: believe `server`; ask for the host without its port.
        """
        other = [entry(host, **way) for host in ("harbor.example", "registry.lan:5001")]
        found, problems = read(endpoint(*other, entry("registry.lan:5000", **way), entry()))

        assert [str(each.host) for each in found] == ["registry.lan:5000", "10.0.0.5:30500"]
        assert "harbor.example is left alone: it would be pulled from 10.0.0." in problems[0]
        assert len(problems) == 2

    @pytest.mark.parametrize(
        "bad",
        [
            entry("../../../etc/cron.d/x"),
            entry("_default"),
            entry("a/b"),
            entry('a"\n[x]'),
            entry(server="../x"),
            entry(scheme="ftp"),
            entry(trust="Nobody"),
            entry(host=""),
            {"host": 5},
            {},
            None,
            entry(nodePort=99999),
        ],
    )
    def test_nonsense_is_left_out_and_said(self, bad: Any) -> None:
        """It is written as root. Seen to fail: join paths of what the object says."""
        found, problems = read(endpoint(bad, entry()))

        assert [str(each.host) for each in found] == ["10.0.0.5:30500"]
        assert len(problems) == 1
        assert problems[0].startswith("registry/one: an entry is left out: ")

    def test_an_unknown_node_address_is_said(self) -> None:
        found, problems = read(endpoint(entry("registry.lan:5000", nodePort=30500)), "")

        assert (found, len(problems)) == ([], 1)

    def test_of_two_the_first_counts(self) -> None:
        """Another namespace's object must not take over a host. Seen to fail: the last one wins."""
        ours = Trust(LAN, LOOPBACK, "https", BUNDLE, SOURCE)
        theirs = replace(ours, server=Address("10.6.6.6", 1), source="other/two")
        wanted = files_of([ours, theirs], US, "containerd")

        assert "10.6.6.6" not in "".join(wanted.files.values())
        assert wanted.problems == ["other/two: registry.lan:5000 is registry/one's already"]


class TestBundle:
    def test_only_certificates_are_written(self) -> None:
        """Seen to fail: write the text as it is."""
        assert certificates_in(f"text\n{BUNDLE}\n{HELD.key.decode()}") == BUNDLE
        assert certificates_in("") == ""

    @pytest.mark.parametrize(
        "bundle",
        [
            "nonsense",
            "-----BEGIN CERTIFICATE-----\nMIIB",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----",
            BUNDLE * 17,
        ],
    )
    def test_what_is_none(self, bundle: str) -> None:
        assert read(endpoint(entry(), bundle=bundle))[0] == []


class TestFiles:
    @pytest.fixture
    def files(self, tmp_path: Path) -> TrustFiles:
        return TrustFiles(tmp_path, US)

    WANTED = files_of([Trust(LAN, LOOPBACK, "https", BUNDLE, SOURCE)], US, "containerd").files
    FOLDER = "certs.d/registry.lan:5000"

    def test_written_once(self, files: TrustFiles) -> None:
        """Seen to fail: write them at each look."""
        first, second = files.keep(self.WANTED), files.keep(self.WANTED)

        assert first.written == [f"{self.FOLDER}/ca.crt", f"{self.FOLDER}/hosts.toml"]
        assert (second.written, second.removed, second.problems) == ([], [], [])
        for path, content in self.WANTED.items():
            assert (files.root / path).read_text() == content
            assert (files.root / path).stat().st_mode & 0o777 == 0o644

    def test_the_certificate_comes_before_what_names_it(self, files: TrustFiles) -> None:
        """And goes after it. Seen to fail: the other way round."""
        assert files.keep(self.WANTED).written[0].endswith("ca.crt")
        assert files.remove().removed[0].endswith("hosts.toml")

    def test_a_changed_one_is_replaced_whole(self, files: TrustFiles) -> None:
        """A runtime reads meanwhile. Seen to fail: open the file itself for writing."""
        files.keep(self.WANTED)
        path = f"{self.FOLDER}/ca.crt"
        with (files.root / path).open() as reader:
            files.keep({**self.WANTED, path: mark(US, SOURCE) + "new"})

            assert reader.read() == self.WANTED[path]
        assert (files.root / path).read_text().endswith("new")

    def test_a_pod_that_was_killed_leaves_nothing(self, files: TrustFiles) -> None:
        folder = files.root / self.FOLDER
        folder.mkdir(parents=True)
        (folder / ".registry-gc-ca.crt").write_text("half")
        files.keep(self.WANTED)

        assert sorted(os.listdir(folder)) == ["ca.crt", "hosts.toml"]

    @pytest.mark.parametrize("half", ["", mark(US, SOURCE) + "half"])
    def test_not_even_after_the_uninstall(self, files: TrustFiles, half: str) -> None:
        """Seen to fail: clear up only where the next file is written."""
        folder = files.root / self.FOLDER
        folder.mkdir(parents=True)
        (folder / ".registry-gc-ca.crt").write_text(half)
        files.remove()

        assert os.listdir(files.root / "certs.d") == []

    @pytest.mark.parametrize("name", ["hosts.toml", "ca.crt"])
    def test_a_foreign_file_blocks_its_folder(self, files: TrustFiles, name: str) -> None:
        """An admin's own settings. Seen to fail: write the other file beside it."""
        folder = files.root / self.FOLDER
        folder.mkdir(parents=True)
        (folder / name).write_text("theirs")
        kept = files.keep(self.WANTED)

        assert os.listdir(folder) == [name]
        assert (folder / name).read_text() == "theirs"
        assert len(kept.problems) == 1
        assert "is not ours, so certs.d/registry.lan:5000 stays as it is" in kept.problems[0]

    def test_without_a_certificate_of_ours_a_foreign_hosts_toml_counts_too(
        self, files: TrustFiles
    ) -> None:
        folder = files.root / self.FOLDER
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text("theirs")

        path = f"{self.FOLDER}/ca.crt"
        assert files.keep({path: self.WANTED[path]}).written == []

    def test_another_releases_files_are_foreign(self, files: TrustFiles) -> None:
        """Seen to fail: look for the mark without its owner."""
        other = TrustFiles(files.root, "registry/another")
        theirs = files_of([Trust(LAN, LAN, "http", "", "x/y")], "registry/another", "containerd")
        other.keep(theirs.files)
        kept = files.keep({})
        files.remove()

        assert (kept.removed, len(kept.problems)) == ([], 0)
        assert (files.root / f"{self.FOLDER}/hosts.toml").exists()
        assert "is the release registry/another's, so" in files.keep(self.WANTED).problems[0]

    def test_what_is_not_wanted_any_more_goes_with_its_folder(self, files: TrustFiles) -> None:
        files.keep(self.WANTED)
        (files.root / "certs.d/docker.io").mkdir()
        (files.root / "certs.d/docker.io/hosts.toml").write_text("theirs")
        files.keep({})

        assert os.listdir(files.root / "certs.d") == ["docker.io"]

    def test_a_folder_with_others_files_stays(self, files: TrustFiles) -> None:
        """Seen to fail: remove the tree."""
        files.keep(self.WANTED)
        (files.root / self.FOLDER / "theirs.crt").write_text("theirs")
        files.remove()

        assert os.listdir(files.root / self.FOLDER) == ["theirs.crt"]

    def test_what_nobody_has_decided_stays(self, files: TrustFiles) -> None:
        """The API is away. Seen to fail: remove all that is not wanted."""
        files.keep(self.WANTED)

        assert files.keep({}, undecided={SOURCE}).removed == []

    def test_crio_files_are_removed_too(self, files: TrustFiles) -> None:
        files.keep(files_of([Trust(LAN, LOOPBACK, "http", "", SOURCE)], US, "crio").files)

        assert files.remove().removed == ["registries.conf.d/registry-gc-registry.lan-5000.conf"]
        assert (files.root / "registries.conf.d").is_dir()

    def test_a_folder_that_takes_no_file_is_a_sentence(self, files: TrustFiles) -> None:
        (files.root / "certs.d").write_text("no folder")

        with pytest.raises(StorageError, match="the node's trust is not as it should be") as error:
            files.keep(self.WANTED)
        assert "hostPath" in error.value.next_step

    def test_a_folder_that_was_made_anew_is_told_apart(
        self, files: TrustFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of it only a new container sees anything. Seen to fail: a failure like any other."""

        def detached(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(Path, "mkdir", detached)

        with pytest.raises(DetachedError, match="cannot be written"):
            files.keep(self.WANTED)


V2 = {"version": 2, "plugins": {"io.containerd.grpc.v1.cri": {"registry": {}}}}


def configured(plugin: str, path: str) -> dict[str, Any]:
    return {"plugins": {plugin: {"registry": {"config_path": path}}}}


class TestConfigPath:
    FOLDER = "/etc/containerd/certs.d"
    ONE, TWO = "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"

    @pytest.mark.parametrize(
        ("plugin", "path"),
        [(ONE, FOLDER), (TWO, FOLDER), (ONE, f"{FOLDER}/"), (ONE, f"/a:{FOLDER}")],
    )
    def test_set(self, plugin: str, path: str) -> None:
        config = configured(plugin, path)

        assert config_path_problem([config], self.FOLDER) == ""
        assert config_path_problem([V2, config], self.FOLDER) == ""

    def test_two_folders_are_none_for_containerd_2_2(self) -> None:
        """Its own default, and every pull fails in silence. Seen to fail: look for ours in it."""
        both = f"{self.FOLDER}:/etc/docker/certs.d"
        found = config_path_problem([configured(self.TWO, both)], self.FOLDER)

        assert "names several folders" in found
        assert 'config_path = "/etc/containerd/certs.d"' in found

    @pytest.mark.parametrize(
        ("configs", "said"),
        [
            ([], "is not set"),
            ([V2], '[plugins."io.containerd.grpc.v1.cri".registry]'),
            ([{"version": 3}], '[plugins."io.containerd.cri.v1.images".registry]'),
            (
                [{"plugins": {"io.containerd.grpc.v1.cri": {"registry": {"config_path": "/x"}}}}],
                "is '/x'",
            ),
        ],
    )
    def test_not_set_says_what_to_write(self, configs: list[dict[str, Any]], said: str) -> None:
        """Seen to fail: take a missing file for a good one."""
        found = config_path_problem(configs, "/etc/containerd/certs.d")

        assert said in found
        assert 'config_path = "/etc/containerd/certs.d"' in found


class TestTheScript:
    @pytest.fixture
    def fake(self) -> FakeKubernetes:
        found = FakeKubernetes()
        found.objects.put(ENDPOINT, endpoint(entry()))
        return found

    @pytest.fixture
    def settings(self, tmp_path: Path) -> NodeTrustSettings:
        folder = tmp_path / "containerd"
        folder.mkdir()
        (folder / "config.toml").write_text(
            '[plugins."io.containerd.grpc.v1.cri".registry]\n'
            'config_path = "/etc/containerd/certs.d"\n'
        )
        return NodeTrustSettings(
            US, (SOURCE,), folder, "/etc/containerd", hosts=(LAN,), ready=tmp_path / "ready"
        )

    def script(
        self, fake: FakeKubernetes, settings: NodeTrustSettings, said: list[str] | None = None
    ) -> NodeTrust:
        api, _ = api_of(fake)
        api.patience = 0.0
        sink: list[str] = [] if said is None else said
        return NodeTrust(settings, api, sink.append)

    def files(self, settings: NodeTrustSettings) -> list[str]:
        return sorted(
            str(each.relative_to(settings.folder)) for each in settings.folder.glob("certs.d/*/*")
        )

    def test_it_follows_the_endpoint(
        self, fake: FakeKubernetes, settings: NodeTrustSettings
    ) -> None:
        """Nodes come and go, certificates are renewed. Seen to fail: look once."""
        said: list[str] = []
        script = self.script(fake, settings, said)
        assert script.look()
        fake.objects.put(ENDPOINT, endpoint(entry("10.0.0.6:30500")))
        assert script.look()

        assert self.files(settings) == [
            "certs.d/10.0.0.6:30500/ca.crt",
            "certs.d/10.0.0.6:30500/hosts.toml",
        ]
        assert "wrote /etc/containerd/certs.d/10.0.0.5:30500/hosts.toml" in said
        assert "removed /etc/containerd/certs.d/10.0.0.5:30500/hosts.toml" in said

    def test_it_ends_where_only_a_new_container_sees_the_folder(
        self, fake: FakeKubernetes, settings: NodeTrustSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kubelet starts it anew. A full disk is no such reason. Seen to fail: go on."""

        def failing(number: int) -> Callable[..., None]:
            def fail(*_: object, **__: object) -> None:
                raise OSError(number, "on purpose")

            return fail

        monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
        full = self.script(fake, settings).look()
        monkeypatch.setattr(os, "fsync", failing(errno.EROFS))

        assert full is False
        with pytest.raises(DetachedError):
            self.script(fake, settings).follow(Event())

    @pytest.mark.parametrize("trouble", ["denied", "away", "gone"])
    def test_what_is_not_answered_changes_nothing(
        self, fake: FakeKubernetes, settings: NodeTrustSettings, trouble: str
    ) -> None:
        """Seen to fail: take no answer for an empty one."""
        said: list[str] = []
        script = self.script(fake, settings, said)
        script.look()
        before = self.files(settings)
        if trouble == "denied":
            fake.objects.denied.add(("get", PLURAL))
        elif trouble == "away":
            fake.refusals = [503] * 9
        else:
            del fake.objects.by_path[ENDPOINT]
        said.clear()

        assert not script.look()
        script.look()
        assert self.files(settings) == before != []
        assert len(said) == 1, "and it is said once"

    def test_withdrawn_is_removed_and_seen_from_outside(
        self, fake: FakeKubernetes, settings: NodeTrustSettings
    ) -> None:
        """The hook before an uninstall waits for it. Seen to fail: stay ready."""
        script = self.script(fake, settings)
        script.look()
        assert settings.ready.exists()
        fake.objects.put(ENDPOINT, endpoint(entry(), withdrawn=True))
        script.look()

        assert self.files(settings) == []
        assert not settings.ready.exists()

    def test_it_is_ready_before_there_is_anything_to_trust(
        self, fake: FakeKubernetes, settings: NodeTrustSettings
    ) -> None:
        """`helm install --wait` waits for it, and the object comes after that.

        Seen to fail: ready only once files are there.
        """
        del fake.objects.by_path[ENDPOINT]
        self.script(fake, settings).look()

        assert settings.ready.exists()

    def test_it_is_not_gone_before_its_files_are(
        self, fake: FakeKubernetes, settings: NodeTrustSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seen to fail: tell so before removing."""
        script = self.script(fake, settings)
        script.look()
        fake.objects.put(ENDPOINT, endpoint(entry(), withdrawn=True))

        def full(*_: object, **__: object) -> None:
            raise PermissionError(13, "denied")

        monkeypatch.setattr(Path, "unlink", full)
        assert not script.look()
        assert settings.ready.exists()

    def test_several_endpoints(self, fake: FakeKubernetes, settings: NodeTrustSettings) -> None:
        two = path_of(VERSION, PLURAL, "other", "two")
        fake.objects.put(two, endpoint(entry("10.0.0.9:1", scheme="http")))
        script = self.script(fake, replace(settings, endpoints=(SOURCE, "other/two")))
        script.look()
        one_less = self.script(fake, settings)
        both = self.files(settings)
        one_less.look()

        assert "certs.d/10.0.0.9:1/hosts.toml" in both
        assert "certs.d/10.0.0.9:1/hosts.toml" not in self.files(settings)

    def test_it_says_when_containerd_reads_none_of_it(
        self, fake: FakeKubernetes, settings: NodeTrustSettings
    ) -> None:
        (settings.folder / "config.toml").write_text("version = 2")
        said: list[str] = []

        assert not self.script(fake, settings, said).look()
        assert any("its config_path is not set" in line for line in said)

    def test_an_imported_file_counts(
        self, fake: FakeKubernetes, settings: NodeTrustSettings
    ) -> None:
        (settings.folder / "conf.d").mkdir()
        (settings.folder / "config.toml").rename(settings.folder / "conf.d/certs.toml")

        assert self.script(fake, settings).look()

    def test_it_goes_on_until_told_to_stop_and_leaves_its_files(
        self, fake: FakeKubernetes, settings: NodeTrustSettings
    ) -> None:
        """A pod that ends is no uninstall. Seen to fail: remove them at the end."""
        quick = replace(settings, interval=timedelta(milliseconds=20))
        stop = Event()
        thread = Thread(target=self.script(fake, quick).follow, args=(stop,))
        thread.start()
        until(lambda: len(fake.asked) > 3, what="it has looked several times")
        stop.set()
        thread.join(10)

        assert not thread.is_alive()
        assert len(self.files(settings)) == 2

    def test_removal_by_hand(self, fake: FakeKubernetes, settings: NodeTrustSettings) -> None:
        said: list[str] = []
        self.script(fake, settings).look()
        remove(settings, said.append)

        assert self.files(settings) == []
        assert len(said) == 2


class TestSettings:
    def of(self, **variables: str) -> NodeTrustSettings:
        given = {"GC_TRUST_OWNER": US, "GC_TRUST_ENDPOINTS": "a/b c/d", **variables}
        return NodeTrustSettings.from_environment(given)

    def test_the_least(self) -> None:
        found = self.of()

        assert found.endpoints == ("a/b", "c/d")
        assert (found.folder, found.host_folder) == (Path("/etc/containerd"), "/etc/containerd")
        assert found.hosts == ()

    def test_crio(self) -> None:
        found = self.of(GC_TRUST_RUNTIME="crio", GC_TRUST_FOLDER="/host")

        assert (found.runtime, found.folder, found.host_folder) == (
            "crio",
            Path("/host"),
            "/etc/containers",
        )

    @pytest.mark.parametrize(
        ("variables", "named"),
        [
            ({"GC_TRUST_OWNER": ""}, "GC_TRUST_OWNER"),
            ({"GC_TRUST_ENDPOINTS": ""}, "GC_TRUST_ENDPOINTS"),
            ({"GC_TRUST_ENDPOINTS": "a"}, "GC_TRUST_ENDPOINTS"),
            ({"GC_TRUST_RUNTIME": "docker"}, "GC_TRUST_RUNTIME"),
            ({"GC_TRUST_INTERVAL": "5"}, "GC_TRUST_INTERVAL"),
            ({"GC_TRUST_HOSTS": "a/b"}, "GC_TRUST_HOSTS"),
        ],
    )
    def test_nonsense_is_named(self, variables: dict[str, str], named: str) -> None:
        with pytest.raises(ConfigurationError) as error:
            self.of(**variables)
        assert named in str(error.value)
