"""`check`: what it finds beside the damages of test_damage.py, what it says and mends."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from registry_gc.checking.check import Check
from registry_gc.checking.findings import Checked, Finding, Harm
from registry_gc.checking.manifests import needs
from registry_gc.checking.repair import check_and_repair, rewrite_links
from registry_gc.checking.report import as_mapping, text
from registry_gc.journal import Journal
from registry_gc.storage import FileStore
from support.collecting import collect
from support.store import StoreBuilder, digest

NONE = timedelta()


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return StoreBuilder(tmp_path / "store")


def check(store: StoreBuilder, *, read_data: bool = False, **settings: object) -> Checked:
    files = FileStore(str(store.root))
    return Check(files, read_data, look_again_after=0, **settings).run()  # type: ignore[arg-type]  # fields of Check


def repair(store: StoreBuilder, grace: timedelta = NONE) -> Checked:
    files = FileStore(str(store.root))
    return check_and_repair(Check(files, look_again_after=0), Journal(files), grace=grace)


def kinds(checked: Checked) -> set[str]:
    return {finding.kind for finding in checked.findings}


def one(checked: Checked, kind: str) -> Finding:
    (found,) = [finding for finding in checked.findings if finding.kind == kind]
    return found


class TestFinding:
    def test_it_says_what_where_how_bad_and_what_to_do(self, store: StoreBuilder) -> None:
        image = store.image("library/app", "v1", layers=["layer"])
        store.blob_path(digest(b"layer")).unlink()

        found = one(check(store), "missing layer")

        assert found.repository == "library/app"
        assert found.digest == digest(b"layer")
        assert found.harm is Harm.IMAGE
        assert image in found.what
        assert found.path.endswith("link")
        assert "push the image again" in found.advice

    def test_a_damaged_blob_names_the_manifests_that_need_it(self, store: StoreBuilder) -> None:
        """Seen to fail: leave `_with_users` out."""
        first = store.image("a", "v1", layers=["shared"])
        second = store.image("b", "v2", layers=["shared"], note="another")
        store.blob_path(digest(b"shared")).write_bytes(b"SHARED")

        found = one(check(store, read_data=True), "damaged blob")

        assert f"a@{first}" in found.what
        assert f"b@{second}" in found.what
        assert found.harm is Harm.IMAGE

    @pytest.mark.parametrize("content", [b"", b"other bytes"])
    def test_a_damaged_blob_that_nothing_needs_is_harmless(
        self, store: StoreBuilder, content: bytes
    ) -> None:
        store.image("a", "v1")
        store.blob_path(store.blob(b"orphan")).write_bytes(content)

        (found,) = check(store, read_data=True).findings

        assert found.harm is Harm.NONE
        assert "no manifest needs it" in found.what

    def test_a_damaged_manifest_names_its_tags(self, store: StoreBuilder) -> None:
        image = store.image("a", "v1")
        store.tag("a", "v2", image)
        store.blob_path(image).unlink()

        found = one(check(store), "missing manifest")

        assert "v1, v2" in found.what

    def test_without_read_data_no_blob_is_read(self, store: StoreBuilder) -> None:
        store.image("a", "v1", layers=["layer"])
        store.blob_path(digest(b"layer")).write_bytes(b"LAYER")

        assert check(store).findings == []
        assert check(store).bytes == 0

    def test_an_empty_layer_is_no_damage(self, store: StoreBuilder) -> None:
        store.image("a", "v1", layers=[b""])

        assert check(store, read_data=True).findings == []

    def test_many_of_one_kind_are_one_finding(self, store: StoreBuilder) -> None:
        store.image("a", "v1")
        for number in range(50):
            store.write(store.v2 / f"blobs/sha256/00/x{number}", "")

        found = one(check(store), "unknown file")

        assert found.count == 50
        assert "50" in found.what


class TestNormal:
    """What registries leave or lack by themselves is told, and is no problem."""

    def sound(self, store: StoreBuilder, kind: str) -> Finding:
        checked = check(store, read_data=True)
        assert checked.problems == []
        assert checked.exit_code == 0
        return one(checked, kind)

    def test_a_sparse_index(self, store: StoreBuilder) -> None:
        store.index("a", [digest(b"other platform"), store.image("a")], "v1")

        assert "only some platforms" in self.sound(store, "sparse index").what

    def test_a_foreign_layer(self, store: StoreBuilder) -> None:
        """Seen to fail: call a layer with `urls` missing."""
        for number, layer in enumerate(
            (
                {"mediaType": "x", "digest": digest(b"1"), "size": 1, "urls": ["https://x"]},
                {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                 "digest": digest(b"2"), "size": 1},
                {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
                 "digest": digest(b"3"), "size": 1},
            )
        ):  # fmt: skip
            store.manifest("a", {"schemaVersion": 2, "layers": [layer]}, f"v{number}")

        checked = check(store)

        assert checked.problems == []
        assert [each.kind for each in checked.findings] == ["foreign layer"] * 3

    def test_a_manifest_that_was_deleted_leaves_its_folder(self, store: StoreBuilder) -> None:
        store.image("a", "v1")
        store.delete_manifest("a", store.image("a", layers=["gone"]))

        assert "removes it" in self.sound(store, "empty folder").advice

    def test_a_layer_link_that_nothing_needs_may_dangle(self, store: StoreBuilder) -> None:
        store.image("a", "v1")
        store.blob_path(store.layer("a", "x")).unlink()
        shutil.rmtree(store.blob_path(digest(b"x")).parent)

        self.sound(store, "dangling layer link")

    def test_an_upload_in_progress(self, store: StoreBuilder) -> None:
        store.image("a", "v1")
        folder = store.upload("a")
        store.write(folder / "hashstates/sha256/4", b"state")
        store.write(folder / f"startedat.{'0' * 8}-0000-0000-0000-{'0' * 12}.tmp", b"")

        self.sound(store, "leftover of a write")

    def test_a_pull_through_cache_lacks_what_nobody_asked_for(self, store: StoreBuilder) -> None:
        """Its `scheduler-state.json` lies at the root. Seen to fail: judge it as any registry."""
        image = store.image("library/app", "v1", layers=["a", "b"])
        store.blob_path(digest(b"a")).unlink()
        store.layer_link("library/app", digest(b"b")).unlink()
        expired = store.image("library/app", "v2", layers=["c"])
        store.revision_link("library/app", expired).unlink()
        assert check(store).exit_code == 1

        store.write(store.root / "scheduler-state.json", "{}")
        checked = check(store)

        assert checked.problems == []
        assert checked.is_cache
        assert any(image in each.what for each in checked.findings)

    def test_a_store_that_was_collected(self, store: StoreBuilder) -> None:
        """What our own runs leave in the state directory is known."""
        store.image("a", "v1")
        store.image("a", layers=["dead"])
        store.age()
        collect(store.root)

        assert check(store, read_data=True).findings == []

    def test_nothing_at_all(self, store: StoreBuilder) -> None:
        assert check(store).findings == []


def test_quarantine_is_told_and_what_a_dead_run_took_is_a_problem(store: StoreBuilder) -> None:
    store.image("a", "v1")
    link = store.layer_link("a", digest(b"layer"))
    taken = store.state / "taken/repositories/a/_layers/sha256" / link.parent.name
    store.write(store.state / "quarantine/1/blobs/sha256/x", "")
    assert check(store).exit_code == 0
    assert kinds(check(store)) == {"quarantine"}

    taken.parent.mkdir(parents=True)
    link.rename(taken)

    found = one(check(store), "leftover of a dead run")
    assert "registry-gc recover" in found.advice
    assert found.harm is Harm.IMAGE


class TestSecondLook:
    def between(self, store: StoreBuilder, act: Callable[[], object]) -> Checked:
        """Check, and let something happen between the two looks."""
        waited: list[float] = []

        def wait(seconds: float) -> None:
            waited.append(seconds)
            act()

        checked = Check(FileStore(str(store.root)), look_again_after=3, wait=wait).run()
        assert waited == [3]
        return checked

    def test_what_a_push_writes_meanwhile_is_no_damage(self, store: StoreBuilder) -> None:
        """Registries up to 3.0 empty a link before they write it; its tag comes last of all.

        Seen to fail: report what the first look saw.
        """
        image = store.image("a", "v1")
        link, current = (
            store.revision_link("a", image),
            store.tag_folder("a", "v1") / "current/link",
        )
        link.write_text("")
        current.unlink()

        def end_of_the_push() -> None:
            link.write_text(image)
            current.write_text(image)

        assert self.between(store, end_of_the_push).findings == []

    def test_a_manifest_whose_blob_is_written_meanwhile(self, store: StoreBuilder) -> None:
        """In place as well, up to 3.0. Seen to fail: leave `_still_so` out."""
        path = store.blob_path(store.image("a", "v1"))
        content = path.read_bytes()
        path.write_bytes(b"")

        assert self.between(store, lambda: path.write_bytes(content)).findings == []

    def test_what_a_deletion_takes_meanwhile_is_none_either(self, store: StoreBuilder) -> None:
        image = store.image("a", "v1")
        store.blob_path(image).unlink()

        assert self.between(store, lambda: store.delete_manifest("a", image)).problems == []

    def test_damage_that_lasts_is_told(self, store: StoreBuilder) -> None:
        store.revision_link("a", store.image("a", "v1")).write_text("")

        assert "empty revision link" in kinds(self.between(store, lambda: None))

    def test_a_sound_store_is_looked_at_once(self, store: StoreBuilder) -> None:
        store.image("a", "v1")

        def wait(seconds: float) -> None:
            raise AssertionError("there was nothing to wait for")

        Check(FileStore(str(store.root)), wait=wait).run()

    def test_a_blob_that_came_after_the_blobs_were_listed(self, store: StoreBuilder) -> None:
        """Seen to fail: judge by the list alone."""
        files = FileStore(str(store.root))
        store.image("a", "v1")
        looks = Check(files, look_again_after=0)
        real = files.list

        class Late(FileStore):
            def list(self, path: str):  # type: ignore[no-untyped-def]  # as the real one
                if path.endswith("/repositories"):
                    store.image("a", "v2", layers=["pushed just now"])
                return real(path)

        looks.store = Late(str(store.root))
        assert looks.run().findings == []


class TestReadData:
    def test_progress_ends_with_all_bytes(self, store: StoreBuilder) -> None:
        store.image("a", "v1", layers=[os.urandom(3 << 20), b"small"])
        told: list[tuple[int, int]] = []

        checked = check(store, read_data=True, progress=lambda *each: told.append(each))

        assert told == sorted(told)
        assert told[-1][0] == told[-1][1] == checked.bytes > 3 << 20

    def test_each_blob_of_many_is_read(self, store: StoreBuilder) -> None:
        """More than are read at once. Seen to fail: end with the first that is done."""
        store.image("a", "v1", layers=[f"layer {number}" for number in range(300)])
        broken = [digest(f"layer {number}".encode()) for number in (0, 150, 299)]
        for name in broken:
            path = store.blob_path(name)
            path.write_bytes(path.read_bytes()[::-1])

        checked = check(store, read_data=True)

        assert {each.digest for each in checked.problems} == set(broken)

    def test_a_blob_by_sha512_is_read_by_sha512(self, store: StoreBuilder) -> None:
        name = digest(b"content", "sha512")
        store.write(store.blob_path(name), b"content")
        store.write(store.blob_path(digest(b"x", "sha384")), b"y")
        (store.v2 / "repositories").mkdir()

        checked = check(store, read_data=True)

        assert [each.digest for each in checked.problems] == [digest(b"x", "sha384")]

    def test_a_manifest_that_is_being_written_is_read_again(self, store: StoreBuilder) -> None:
        """Registries up to 3.0 write its blob in place. Seen to fail: read each blob once."""
        name = store.blob(b"content")
        (store.v2 / "repositories").mkdir()
        path = store.blob_path(name)
        path.write_bytes(b"cont")

        class Writing(FileStore):
            def stream(self, path: str):  # type: ignore[no-untyped-def]  # as the real one
                yield from super().stream(path)
                store.blob_path(name).write_bytes(b"content")

        assert (
            Check(Writing(str(store.root)), read_data=True, look_again_after=0).run().problems == []
        )


class TestSchema1:
    def test_its_layers_are_needed_and_its_signatures_known(self, store: StoreBuilder) -> None:
        layer = store.layer("a", "layer")
        image = store.manifest("a", {"schemaVersion": 1, "fsLayers": [{"blobSum": layer}]}, "v1")
        signature = store.blob(b"signature")
        folder = store.revision_link("a", image).parent / "signatures"
        store.write(folder / signature.replace(":", "/") / "link", signature)
        assert check(store).findings == []

        store.blob_path(layer).unlink()
        assert "missing layer" in kinds(check(store))

        store.revision_link("a", image).unlink()
        assert "signatures" in one(check(store), "unknown folder").what


def test_needs_takes_what_is_no_descriptor_for_nothing() -> None:
    """Any JSON may lie there. Seen to fail: take `size` or `digest` for what they should be."""
    strange: list[object] = [None, 1, [], {}, {"digest": 5}, {"digest": "sha256:x"}]
    document = {"config": 5, "layers": strange, "manifests": {"a": 1}, "fsLayers": strange}

    assert needs(json.dumps(document).encode()) == []
    named = {"digest": digest(b"x"), "size": "big", "mediaType": 7, "urls": 5}
    (found,) = needs(json.dumps({"layers": [named]}).encode())
    assert found.size is None


class TestRepair:
    @pytest.mark.parametrize("content", [b"", b"sha256:", b"\x00" * 71])
    @pytest.mark.parametrize("kind", ["layer", "revision", "tag", "tag index"])
    def test_a_damaged_link_is_written_anew(
        self, store: StoreBuilder, kind: str, content: bytes
    ) -> None:
        """Seen to fail: leave `put_new` out of `_replace`."""
        image = store.image("a", "v1", layers=["layer"])
        link = {
            "layer": store.layer_link("a", digest(b"layer")),
            "revision": store.revision_link("a", image),
            "tag": store.tag_folder("a", "v1") / "current/link",
            "tag index": next((store.tag_folder("a", "v1") / "index").rglob("link")),
        }[kind]
        before = link.read_text()
        link.write_bytes(content)
        assert check(store).exit_code == 1

        checked = repair(store)

        assert link.read_text() == before
        assert checked.exit_code == 0
        assert [each.path.endswith("link") for each in checked.findings] == [True]
        assert check(store).findings == []

    def test_all_of_them_at_once(self, store: StoreBuilder) -> None:
        """As a power cut leaves them: the tag is judged by links that are mended before it."""
        for number in range(3):
            store.image(f"a/{number}", "v1", layers=["shared", f"own {number}"])
        links = list(store.v2.glob("repositories/**/link"))
        before = {link: link.read_text() for link in links}
        for link in links:
            link.write_text("")

        assert repair(store).exit_code == 0

        assert {link: link.read_text() for link in links} == before

    def test_a_tag_gets_the_newest_manifest_that_is_there(self, store: StoreBuilder) -> None:
        """Seen to fail: take the first; take one whose manifest is gone."""
        oldest, middle, gone = (store.image("a", layers=[each]) for each in ("x", "y", "z"))
        now = time.time()
        for age, image in ((1, gone), (200, oldest), (100, middle)):
            store.tag("a", "v1", image)
            entry = store.tag_folder("a", "v1") / "index" / image.replace(":", "/") / "link"
            os.utime(entry, (now - age, now - age))
        store.revision_link("a", gone).unlink()
        current = store.tag_folder("a", "v1") / "current/link"
        current.write_text("")

        repair(store)

        assert current.read_text() == middle

    def test_a_tag_without_a_current_link_may_have_been_deleted(self, store: StoreBuilder) -> None:
        store.image("a", "v1")
        (store.tag_folder("a", "v1") / "current/link").unlink()

        assert repair(store).exit_code == 1
        assert not (store.tag_folder("a", "v1") / "current/link").exists()

    @pytest.mark.parametrize("what", ["missing", "empty", "folder"])
    def test_a_link_is_not_written_to_a_blob_that_is_not_there(
        self, store: StoreBuilder, what: str
    ) -> None:
        image = store.image("a", "v1", layers=["layer"])
        link = store.layer_link("a", digest(b"layer"))
        link.write_text("")
        blob = store.blob_path(digest(b"layer"))
        blob.unlink()
        if what == "empty":
            blob.write_bytes(b"")
        elif what == "folder":
            blob.mkdir()
        revision = store.revision_link("a", image)
        revision.write_text("")
        store.blob_path(image).write_bytes(b"no longer a manifest")

        repair(store)

        assert link.read_text() == ""
        assert revision.read_text() == ""

    def test_what_is_not_known_for_sure_stays(self, store: StoreBuilder) -> None:
        """A link by sha512 holds a digest that its path does not tell; one that holds another
        digest protects that blob.
        """
        store.image("a", "v1", layers=["layer"])
        alias = store.layer_link("a", digest(b"layer", "sha512"))
        store.write(alias, "")
        strange = store.layer_link("a", digest(b"layer"))
        strange.write_text(digest(b"another"))

        assert repair(store).exit_code == 1

        assert alias.read_text() == ""
        assert strange.read_text() == digest(b"another")

    def test_a_young_link_may_be_one_that_is_being_written(self, store: StoreBuilder) -> None:
        """Seen to fail: leave `_is_older` out."""
        link = store.revision_link("a", store.image("a", "v1"))
        link.write_text("")
        store.age(60)

        repair(store, grace=timedelta(minutes=2))
        assert link.read_text() == ""
        repair(store, grace=timedelta(seconds=30))
        assert link.read_text()

    def test_a_link_that_is_written_meanwhile_stays(self, store: StoreBuilder) -> None:
        """In place, as up to 3.0, or anew. Seen to fail: write over whatever is there."""
        image = store.image("a", "v1", layers=["layer"])
        links = [store.revision_link("a", image), store.layer_link("a", digest(b"layer"))]
        theirs = "theirs, whatever it is"

        class Racing(FileStore):
            def write(self, path: str, content: bytes) -> None:
                super().write(path, content)
                links[0].write_text(theirs)
                links[1].unlink()
                links[1].write_text(theirs)

        for link in links:
            link.write_text("")
        store.age()
        files = Racing(str(store.root))

        done = rewrite_links(files, Journal(files), grace=NONE, repositories=["a"])

        assert done == []
        assert [link.read_text() for link in links] == [theirs] * 2
        assert not [path for path in store.state.rglob("*") if path.is_file()]

    def test_a_link_that_comes_after_the_damaged_one_was_taken_stays(
        self, store: StoreBuilder
    ) -> None:
        link = store.layer_link("a", store.layer("a", "layer"))
        link.write_text("")

        class Racing(FileStore):
            def put_new(self, source: str, target: str) -> bool:
                link.write_text("theirs")
                return super().put_new(source, target)

        files = Racing(str(store.root))

        done = rewrite_links(files, Journal(files), grace=NONE, repositories=["a"])

        assert done == []
        assert link.read_text() == "theirs"
        assert not [path for path in store.state.rglob("*") if path.is_file()]

    def test_a_deletion_meanwhile_is_not_undone(self, store: StoreBuilder) -> None:
        """Seen to fail: rename the new link over the old one."""
        image = store.image("a", "v1")
        current = store.tag_folder("a", "v1") / "current/link"
        current.write_text("")

        class Racing(FileStore):
            def write(self, path: str, content: bytes) -> None:
                super().write(path, content)
                shutil.rmtree(store.tag_folder("a", "v1"), ignore_errors=True)
                store.revision_link("a", image).unlink(missing_ok=True)

        files = Racing(str(store.root))
        rewrite_links(files, Journal(files), grace=NONE, repositories=["a"])

        assert not store.tag_folder("a", "v1").exists()
        assert not store.revision_link("a", image).exists()

    @pytest.mark.parametrize("dies_at", ["take", "put_new", "put_back"])
    def test_a_repair_that_dies_is_ended_by_the_next_run(
        self, store: StoreBuilder, dies_at: str
    ) -> None:
        """Seen to fail: unlink the damaged link before the new one stands."""
        link = store.layer_link("a", store.layer("a", "layer"))
        link.write_text("")

        class Died(BaseException):
            pass

        class Dying(FileStore):
            def rename(self, source: str, target: str) -> bool:
                done = super().rename(source, target)
                if dies_at == "take":
                    raise Died
                return done

            def put_new(self, source: str, target: str) -> bool:
                if dies_at == "put_new":
                    raise Died
                done = super().put_new(source, target)
                if dies_at == "put_back":
                    raise Died
                return done

        files = Dying(str(store.root))
        with pytest.raises(Died):
            rewrite_links(files, Journal(files), grace=NONE, repositories=["a"])

        collect(store.root)
        assert link.exists()
        assert link.read_text() == (digest(b"layer") if dies_at == "put_back" else "")
        assert repair(store).exit_code == 0
        assert link.read_text() == digest(b"layer")

    def test_it_is_the_owner_s_again(self, store: StoreBuilder) -> None:
        """A registry that may not write to its own link refuses the next push of that layer.

        Seen to fail: leave `give_owner` out.
        """
        if os.geteuid():
            pytest.skip("only root can give files away")
        link = store.layer_link("a", store.layer("a", "layer"))
        link.write_text("")
        os.chown(link, 1000, 1001)

        repair(store)

        assert link.read_text()
        assert (link.stat().st_uid, link.stat().st_gid) == (1000, 1001)

    def test_no_blob_is_ever_removed(self, store: StoreBuilder) -> None:
        store.image("a", "v1", layers=["layer"])
        store.blob(b"orphan")
        store.blob_path(digest(b"layer")).write_bytes(b"damaged")
        store.revision_link("a", store.image("a", layers=["b"])).write_text("")
        before = set(store.v2.rglob("data"))

        assert any(each.repaired for each in repair(store).findings)

        assert set(store.v2.rglob("data")) == before


class TestReport:
    def checked(self, store: StoreBuilder) -> Checked:
        store.image("a", "v1", layers=["layer"])
        store.index("a", [digest(b"not copied")], "index")
        store.layer_link("a", digest(b"layer")).write_text("")
        store.write(store.v2 / f"blobs/sha256/00/{os.fsdecode(bytes([0xFF]))}", "")
        store.write(store.v2 / "blobs/sha256/00/a\nb", "")
        return check(store)

    def test_the_text_has_all_of_it_the_worst_first(self, store: StoreBuilder) -> None:
        said = text(self.checked(store), 1.5)

        assert said.startswith("3 problems found.")
        assert said.index("Images that cannot be pulled") < said.index("Harmless")
        assert said.index("Harmless") < said.index("Normal, no damage (1)")
        assert "registry-gc check --repair" in said
        assert r"a\nb" in said
        said.encode("utf-8")

    def test_a_sound_store_is_called_so(self, store: StoreBuilder) -> None:
        store.image("a", "v1")

        said = text(check(store), 0.1)

        assert said.startswith("The store is sound.")
        assert "1 repositories" in said

    def test_what_was_repaired_is_told(self, store: StoreBuilder) -> None:
        store.image("a", "v1", layers=["layer"])
        store.layer_link("a", digest(b"layer")).write_text("")

        checked = repair(store)

        assert "Repaired (1)" in text(checked, 1)
        assert as_mapping("run", checked, 1)["sound"] is True
        assert len(as_mapping("run", checked, 1)["repaired"]) == 1  # type: ignore[arg-type]  # a list

    def test_the_mapping_is_json_whatever_the_names(self, store: StoreBuilder) -> None:
        told = json.loads(json.dumps(as_mapping("run", self.checked(store), 1.5)).encode())

        assert told["sound"] is False
        assert {each["harm"] for each in told["problems"]} == {
            "an image cannot be pulled",
            "harmless",
        }
        assert [each["kind"] for each in told["normal"]] == ["sparse index"]
        assert all(each["path"].isprintable() for each in told["problems"])


def test_pushes_beside_a_check_are_no_damage(store: StoreBuilder) -> None:
    """Writers that write as registry 2.8 does, in place and in the order of a push."""
    stop = threading.Event()
    pushed: list[str] = []

    def push() -> None:
        while not stop.is_set():
            number = len(pushed)
            image = store.image("a", f"v{number % 7}", layers=[f"layer {number}"])
            pushed.append(image)
            if number % 3 == 0:
                store.delete_manifest("a", image)

    thread = threading.Thread(target=push)
    store.image("a", "stable")
    thread.start()
    try:
        problems = [
            problem
            for _ in range(3)
            for problem in Check(FileStore(str(store.root)), True, look_again_after=0.1)
            .run()
            .problems
        ]
    finally:
        stop.set()
        thread.join()

    assert pushed
    assert problems == []
