"""The registry's effective configuration, case by case.

What the cases expect comes from reference measurements and from the registry's source; that a real
registry agrees is shown by tests/registry/test_registry_config.py.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_gc.errors import ConfigurationError
from registry_gc.registry_config import RegistryConfig, effective, load
from registry_gc.registry_config.redis_section import RedisOptions

HEAD = "version: 0.1\n"
FULL = HEAD + "storage: {filesystem: {rootdirectory: /A}, delete: {enabled: true}}\n"


def config(text: str, **environment: str) -> RegistryConfig:
    return effective(text, {f"REGISTRY_{name}": value for name, value in environment.items()})


def refusal(text: str, **environment: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        config(text, **environment)
    return caught.value


def test_a_plain_file_is_read_whole() -> None:
    found = config(
        HEAD
        + """
storage:
  filesystem: {rootdirectory: /data/}
  cache: {blobdescriptor: inmemory}
  delete: {enabled: yes}
  maintenance: {readonly: {enabled: on}}
http:
  addr: :5000
  prefix: /reg/
  draintimeout: 1m30s
  tls: {certificate: /c.pem, key: /k.pem}
proxy: {remoteurl: https://registry-1.docker.io}
"""
    )

    assert found == RegistryConfig(
        driver="filesystem",
        root="/data",
        parameters={"rootdirectory": "/data/"},
        cache="inmemory",
        redis=None,
        read_only=True,
        delete_enabled=True,
        proxy=True,
        drain_timeout=90.0,
        address=":5000",
        net="tcp",
        tls=True,
        certificate="/c.pem",
        key="/k.pem",
        prefix="/reg/",
        notes=(),
    )


def test_what_is_not_said_has_the_registrys_defaults() -> None:
    found = config(HEAD + "storage: filesystem\n")

    assert found == RegistryConfig(
        driver="filesystem",
        root="/var/lib/registry",
        parameters={},
        cache="none",
        redis=None,
        read_only=False,
        delete_enabled=False,
        proxy=False,
        drain_timeout=0,
        address="",
        net="tcp",
        tls=False,
        certificate="",
        key="",
        prefix="",
        notes=(),
    )


@pytest.mark.parametrize(
    "storage",
    [
        "storage: {filesystem: {rootdirectory: /A}}",
        "storage: {filesystem: {rootdirectory: /A, maxthreads: 100}, cache: {blobdescriptor: x}}",
        "storage: filesystem",
        "storage: {filesystem: }",
        "storage: {filesystem: {}}",
        "",
    ],
)
@pytest.mark.parametrize(
    "environment",
    [
        {"STORAGE_FILESYSTEM_ROOTDIRECTORY": "/B"},
        {"STORAGE_FILESYSTEM": "{rootdirectory: /B}"},
        {"STORAGE": "{filesystem: {rootdirectory: /B}}"},
        {"STORAGE": "filesystem", "STORAGE_FILESYSTEM_ROOTDIRECTORY": "/B"},
    ],
)
def test_a_variable_moves_the_root_directory(storage: str, environment: Mapping[str, str]) -> None:
    """All 24 as measured on 3.1.1 and 2.8.2. Seen to fail: keep the YAML's value."""
    assert config(f"{HEAD}{storage}\n", **environment).root == "/B"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("/B/", "/B"),
        ("//B//c/../d/", "/B/d"),
        ("/", "/"),
        ("''", "/"),
        ("relative/path", "relative/path"),
        ("", "<nil>"),
        ("0123", "83"),
        ("1e3", "1000"),
        ("1e6", "1e+06"),
        ("yes", "true"),
        ("'yes'", "yes"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("[a, 1]", "[a 1]"),
        ("{b: 1, a: x}", "map[a:x b:1]"),
    ],
)
def test_the_root_directory_is_what_go_prints_of_its_value(root: str, expected: str) -> None:
    assert config(FULL, STORAGE_FILESYSTEM_ROOTDIRECTORY=root).root == expected


@pytest.mark.parametrize(("root", "word"), [("", "<nil>"), ("a/b", "working directory")])
def test_a_surprising_root_directory_has_a_note(root: str, word: str) -> None:
    (note,) = config(FULL, STORAGE_FILESYSTEM_ROOTDIRECTORY=root).notes[:1]

    assert word in note


def test_naming_the_driver_alone_drops_the_section() -> None:
    """`REGISTRY_STORAGE=filesystem` replaces, it does not merge. Seen to fail: merge it."""
    found = config(FULL, STORAGE="filesystem")

    assert (found.root, found.delete_enabled) == ("/var/lib/registry", False)


def test_another_driver_is_an_answer_and_not_an_error() -> None:
    found = config(FULL, STORAGE="s3", STORAGE_S3_BUCKET="b", STORAGE_S3_SECURE="no")

    assert (found.driver, found.root) == ("s3", "")
    assert found.parameters == {"bucket": "b", "secure": False}


def test_variables_apply_in_byte_order_whatever_the_environments_order() -> None:
    longer_first = {
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/B",
        "REGISTRY_STORAGE": "{filesystem: {rootdirectory: /C}}",
    }

    assert effective(FULL, longer_first).root == "/B"


def test_names_in_lower_case_and_without_the_prefix_are_nobodys() -> None:
    environment = {"registry_storage": "s3", "XREGISTRY_STORAGE": "s3", "REGISTRYSTORAGE": "s3"}

    found = effective(FULL, environment)

    assert (found.driver, found.root, found.notes) == ("filesystem", "/A", ())


@pytest.mark.parametrize(
    "name",
    ["PORT", "HTTP_PORT", "STORAGE_FILESYSTEM_ROOTDIRECTORY_X", "", "HTTP_ADDR_X", "LOG_X_Y"],
)
def test_a_variable_without_effect_is_named(name: str) -> None:
    found = config(FULL, **{name: "tcp://10.0.0.1:80"})

    assert found.root == "/A"
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"REGISTRY_{name} has no effect")


READ_ONLY_IN_FILE = FULL.replace("delete:", "maintenance: {readonly: {enabled: false}}, delete:")


@pytest.mark.parametrize("text", [FULL, READ_ONLY_IN_FILE])
@pytest.mark.parametrize(
    "environment",
    [
        {"STORAGE_MAINTENANCE_READONLY": '{"enabled":true}'},
        {"STORAGE_MAINTENANCE": "{readonly: {enabled: true}}"},
    ],
)
def test_read_only_by_the_two_forms_that_work(text: str, environment: Mapping[str, str]) -> None:
    assert config(text, **environment).read_only


def test_read_only_by_the_long_name_stops_the_registry_or_does_nothing() -> None:
    """It makes a map of another type, which the registry refuses. Seen to fail: use one type."""
    error = refusal(FULL, STORAGE_MAINTENANCE_READONLY_ENABLED="true")
    assert "REGISTRY_STORAGE_MAINTENANCE_READONLY to" in error.next_step

    ignored = config(READ_ONLY_IN_FILE, STORAGE_MAINTENANCE_READONLY_ENABLED="true")
    assert not ignored.read_only
    assert len(ignored.notes) == 1


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{blobdescriptor: inmemory}", "inmemory"),
        ("{layerinfo: inmemory}", "inmemory"),
        ("{layerinfo: inmemory, blobdescriptor: ''}", "none"),
        ("{blobdescriptor: InMemory}", "none"),
        ("{blobdescriptor: }", "none"),
        ("{}", "none"),
        ("", "none"),
        ("{blobdescriptor: inmemory, blobdescriptorsize: 5}", "inmemory"),
    ],
)
def test_the_kind_of_cache(section: str, expected: str) -> None:
    found = config(f"{HEAD}storage: {{filesystem: {{}}, cache: {section}}}\n")

    assert found.cache == expected
    silent = expected == "inmemory" or "''" in section
    assert bool(found.notes) is not silent


def test_a_cache_by_variable() -> None:
    assert config(FULL, STORAGE_CACHE_BLOBDESCRIPTOR="inmemory").cache == "inmemory"
    assert config(FULL, STORAGE_CACHE="{layerinfo: inmemory}").cache == "inmemory"


def test_redis_needs_an_address_in_the_form_of_either_version() -> None:
    cached = FULL.replace("delete:", "cache: {blobdescriptor: redis}, delete:")

    assert config(cached + "redis: {addrs: ['r:6379']}\n").notes == ()
    assert config(cached, REDIS_ADDRS="[r:6379]").cache == "redis"
    assert config(cached, REDIS_OPTIONS_ADDRS="[r:6379]").cache == "redis"
    assert "2.8" in config(cached + "redis: {addr: 'r:6379'}\n").notes[0]
    assert "no address" in refusal(cached).why
    assert "keeps its cache at" in refusal(cached, REDIS_ADDR="r:1", REDIS_ADDRS="[r:2]").why


def test_an_address_by_its_number_sets_nothing_and_go_has_a_default_for_that() -> None:
    """Measured: registry 3.1.1 appends an empty address, and connects to localhost."""
    cached = FULL.replace("delete:", "cache: {blobdescriptor: redis}, delete:")

    found = config(cached, REDIS_ADDRS_0="r:6379", REDIS_USERNAME="u", REDIS_DB="0x5")

    assert found.redis == RedisOptions(("localhost:6379",), database=5), "no password, no login"
    assert "REGISTRY_REDIS_ADDRS_0 has no effect" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("", {}, "no version"),
        ("version: 0.2\nstorage: filesystem\n", {}, "'0.2'"),
        ("version: 0.10\nstorage: filesystem\n", {}, "'0.10'"),
        ("version: one\nstorage: filesystem\n", {}, "not like 0.1"),
        (HEAD, {}, "no storage driver"),
        (HEAD + "storage: {delete: {enabled: true}}\n", {}, "no storage driver"),
        (FULL, {"STORAGE": ""}, "no storage driver"),
        (HEAD + "storage: {s3: {}, filesystem: {}}\n", {}, "two storage drivers"),
        (FULL, {"STORAGE_S3_BUCKET": "b"}, "two storage drivers"),
        (FULL, {"STORAGE_FOO_BAR": "1"}, "two storage drivers"),
        (HEAD + "storage: [filesystem]\n", {}, "a list stands where"),
        (HEAD + "storage: {filesystem: 5}\n", {}, "a number stands where a map belongs"),
        (FULL + "http: {draintimeout: soon}\n", {}, "duration"),
        (FULL + "http: {relativeurls: 'yes'}\n", {}, "line 3: text stands where a boolean"),
        (FULL + "log: {level: loud}\n", {}, "log level"),
        (FULL + "http: [", {}, "not YAML"),
        (FULL + "http: {net: udp}\n", {}, "'udp'"),
        (FULL, {"HTTP_DRAINTIMEOUT": "5 minutes"}, "REGISTRY_HTTP_DRAINTIMEOUT"),
        (FULL, {"STORAGE_DELETE": "on"}, "a boolean stands where a map belongs"),
        (FULL, {"STORAGE_MAINTENANCE_READONLY": "true"}, "not a map"),
        (FULL, {"STORAGE_MAINTENANCE_READONLY": "{enabled: 1}"}, "not a boolean"),
        (FULL, {"STORAGE_MAINTENANCE_UPLOADPURGING": "{enabled: true}"}, "not complete"),
        (FULL, {"STORAGE_REDIRECT_DISABLE": "1"}, "redirect"),
        (FULL, {"STORAGE_TAG_CONCURRENCYLIMIT": "many"}, "concurrencylimit"),
        (FULL, {"STORAGE_FILESYSTEM_MAXTHREADS": "many"}, "maxthreads"),
    ],
)
def test_what_would_stop_the_registry_stops_us_with_a_sentence(
    text: str, environment: Mapping[str, str], words: str
) -> None:
    """Rule 10. Seen to fail: return the first driver by name."""
    error = refusal(text, **environment)

    assert error.exit_code == 2
    assert error.what.startswith("nothing was touched")
    assert words in error.why


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        (FULL + "tags: {maxtags: -1}\n", {}, "maxtags"),
        (FULL, {"STORAGE_CACHE": "{blobdescriptor: inmemory, blobdescriptorsize: x}"}, "size"),
        (FULL, {"REDIS_ADDRS_X": "r:6379"}, "not the number of an entry"),
        (FULL, {"NOTIFICATIONS_ENDPOINTS_0": "{}"}, "ends in an index"),
        (FULL, {"NOTIFICATIONS_ENDPOINTS_0_TIMEOUT": "soon"}, "duration"),
    ],
)
def test_what_stops_registry_3_alone_is_a_note(
    text: str, environment: Mapping[str, str], words: str
) -> None:
    """Registry 2.8 runs with it. Seen to fail: refuse it."""
    found = config(text, **environment)

    assert (found.driver, found.root) == ("filesystem", "/A")
    (note,) = found.notes
    assert note.startswith("registry 3 does not start: ")
    assert words in note


@pytest.mark.parametrize(
    ("name", "service"),
    [("STORAGE_PORT", "registry-storage"), ("AUTH_PORT", "registry-auth")],
)
def test_a_service_link_is_explained(name: str, service: str) -> None:
    """A Service called registry-storage breaks the registry of its whole namespace."""
    error = refusal(FULL, **{name: "tcp://10.96.0.7:80"})

    assert f"a Service called {service}" in error.why
    assert "enableServiceLinks: false" in error.next_step


def test_a_value_with_a_secret_is_not_printed() -> None:
    error = refusal(FULL, STORAGE_FILESYSTEM="hunter2")

    assert "hunter2" not in str(error)


def test_a_key_given_by_variable_ends_in_lower_case_beside_the_files() -> None:
    found = config(HEAD + "storage: {filesystem: {RootDirectory: /A}}\n")
    assert found.root == "/var/lib/registry"

    both = config(
        HEAD + "storage: {filesystem: {RootDirectory: /A}}\n", STORAGE_FILESYSTEM_ROOTDIRECTORY="/B"
    )
    assert both.root == "/B"


def test_what_a_variable_cannot_reach_below_a_driver() -> None:
    text = HEAD + "storage: {s3: {options: {a: 1}, list: [x]}}\n"

    found = config(text, STORAGE_S3_OPTIONS_A="2", STORAGE_S3_LIST_0="y", STORAGE_S3_NEW_A="3")

    assert found.parameters == {"options": {"a": 1}, "list": ["x"], "new": {"a": 3}}
    assert len(found.notes) == 2
    assert "cannot grow" in config(text, STORAGE_S3_LIST_1="y").notes[0]


def test_lists_of_the_configuration_itself_can_be_reached() -> None:
    text = FULL + "middleware: {storage: [{name: redirect, options: {baseurl: a}}]}\n"

    assert config(text, MIDDLEWARE_STORAGE_0_NAME="cloudfront").notes == ()
    assert "cannot grow" in config(text, MIDDLEWARE_STORAGE_1_NAME="x").notes[0]
    assert config(FULL, MIDDLEWARE_STORAGE_0_NAME="x").notes == ()


def test_only_the_first_document_counts_and_merges_are_followed() -> None:
    text = """
version: 0.1
base: &base {rootdirectory: /M, maxthreads: 50}
storage:
  filesystem: {rootdirectory: /A, <<: *base}
---
storage: s3
"""
    # Where PyYAML lets the plain key win, yaml.v2 writes in the order of the file.
    assert config(text).root == "/M"


def test_a_drain_without_a_unit_is_in_nanoseconds() -> None:
    assert config(FULL + "http: {draintimeout: 5}\n").drain_timeout == 5e-9


def test_a_missing_file_names_the_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "config.yml", {})

    assert str(tmp_path / "config.yml") in caught.value.what
    assert "/etc/distribution/config.yml and then /etc/docker/registry/config.yml" in str(
        caught.value
    )


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigurationError, match="UTF-8"):
        load(tmp_path / "config.yml", {})


def test_load_reads_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(FULL)

    assert load(tmp_path / "config.yml", {"REGISTRY_HTTP_ADDR": ":1"}).address == ":1"


@settings(deadline=None)
@given(st.text(max_size=60), st.dictionaries(st.text(max_size=12), st.text(max_size=12)))
def test_whatever_it_is_given_it_answers_or_refuses(text: str, names: dict[str, str]) -> None:
    environment = {f"REGISTRY_{name.upper()}": value for name, value in names.items()}
    for document in (text, FULL + text, FULL):
        try:
            answer = effective(document, environment).driver
        except ConfigurationError as error:
            answer = error.why
        assert answer
