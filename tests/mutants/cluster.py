"""The rules of what runs in a cluster (docs/develop/rules.md), broken on purpose: see table.py."""

from mutants.table import UNIT, Mutant

_SWITCH = f"{UNIT}/test_read_only.py"
_ENDPOINT = f"{UNIT}/test_endpoint.py"
_SECRETS = f"{UNIT}/test_certificate_secrets.py"
_TRUST = f"{UNIT}/test_node_trust.py"

CLUSTER = [
    Mutant(
        "rule 16",
        "who made the registry read-only leaves it so",
        "read_only.py",
        "                self._off(self._is_ours)\n        finally:",
        "                pass\n        finally:",
        f"{_SWITCH}::TestHeld::test_it_ends_with_what_it_is_for",
    ),
    Mutant(
        "rule 16",
        "a key whose time is over is held for ever",
        "read_only.py",
        "        return found is None or self._is_over(found)",
        "        return found is None",
        f"{_SWITCH}::TestSettle::test_a_hook_that_was_killed",
    ),
    Mutant(
        "rule 16",
        "the schedule does not look after it",
        "endpoint.py",
        "    failures.of(lambda: _take_back(api, settings, events, echo))\n",
        "",
        f"{_ENDPOINT}::TestWhateverElseFails::test_read_only_is_taken_back_first",
    ),
    Mutant(
        "rule 16",
        "people push while a collection counts on it that they cannot",
        "read_only.py",
        "running = [pod for pod in there if self._collects(pod)]",
        "running = [pod for pod in there[:0] if self._collects(pod)]",
        f"{_SWITCH}::TestOff::test_not_while_a_collection_counts_on_it",
    ),
    Mutant(
        "rule 17",
        "a Secret of somebody else is overwritten",
        "certificate_secrets.py",
        "    for found in (secret, authority):\n",
        "    for found in (secret, authority)[:0]:\n",
        f"{_SECRETS}::TestOthers::test_a_foreign_secret_is_never_overwritten",
    ),
    Mutant(
        "rule 17",
        "a field that somebody else has written is overwritten",
        "certificate_secrets.py",
        "api.apply(_path(settings, name), body, MANAGER, force=False)",
        "api.apply(_path(settings, name), body, MANAGER, force=True)",
        f"{_SECRETS}::TestOthers::test_one_that_was_edited_is_left_alone",
    ),
    Mutant(
        "rule 17",
        "a ConfigMap of somebody else is removed",
        "read_only.py",
        "        found = self._found()\n        if not may(found):",
        "        found = self.api.get(self._path)\n        if not may(found):",
        f"{_SWITCH}::TestOff::test_a_foreign_config_map_stays",
    ),
    Mutant(
        "rule 18",
        "a file on a node that is not ours is overwritten",
        "trust_files.py",
        "if content is None or source_of(content, self.owner) is not None:",
        "if content is None or content:",
        f"{_TRUST}::TestFiles::test_a_foreign_file_blocks_its_folder",
    ),
    Mutant(
        "rule 18",
        "another release's file is removed",
        "trust_content.py",
        '    rest = first.removeprefix(f"{MARK}{owner} from ")\n',
        "    rest = first.removeprefix(MARK)\n",
        f"{_TRUST}::TestFiles::test_another_releases_files_are_foreign",
    ),
    Mutant(
        "rule 18",
        "a node forgets the registry while the API is away",
        "node_trust.py",
        "                undecided.add(source)\n",
        "",
        f"{_TRUST}::TestTheScript::test_what_is_not_answered_changes_nothing",
    ),
    Mutant(
        "rule 19",
        "a scheduled run brings back what an uninstall removes",
        "endpoint.py",
        "        return not is_being_removed(found) and (found is not None or not was_there)",
        "        return found is not None or not was_there",
        f"{_ENDPOINT}::TestRemoved::test_a_run_by_the_schedule_does_not_bring_it_back",
    ),
    Mutant(
        "rule 19",
        "an uninstall that begins meanwhile is undone",
        "endpoint.py",
        '        body["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]\n',
        "        pass\n",
        f"{_ENDPOINT}::TestAtTheSameTime::test_an_uninstall_that_begins_meanwhile_is_not_undone",
    ),
    Mutant(
        "rule 19",
        "nodes are not told before their RegistryEndpoint goes",
        "withdrawal.py",
        "    left = _nodes_left(api, settings, sleep) if settings.trust else 0\n",
        "    left = 0\n",
        f"{_ENDPOINT}::TestRemoved::test_nodes_are_told_and_waited_for_first",
    ),
    Mutant(
        "rule 20",
        "each run makes a new authority",
        "certificates.py",
        "    if why_authority:\n",
        "    if True:\n",
        f"{UNIT}/test_certificates.py::TestKept::test_what_is_good_stays_byte_for_byte[200]",
    ),
    Mutant(
        "rule 20",
        "the authority before is not trusted any more",
        "certificates.py",
        "    kept = [current, *retired[:_MOST_RETIRED]]",
        "    kept = [current]",
        f"{UNIT}/test_certificates.py::TestANewAuthority::test_the_old_one_stays_in_the_bundle",
    ),
    Mutant(
        "rule 20",
        "a new authority signs before anybody trusts it",
        "certificates.py",
        "        _is_new(held, now) and any(",
        "        False and any(",
        f"{UNIT}/test_certificates.py::TestANewAuthority"
        "::test_it_signs_once_everybody_may_have_learned_of_it",
    ),
    Mutant(
        "rule 21",
        "a registry is ended that would not come back",
        "descriptor_cache.py",
        "        if fault := fault_of_certificate(self.config):\n",
        "        if fault := fault_of_certificate(self.config)[:0]:\n",
        f"{UNIT}/test_registry_control.py::TestCertificate"
        "::test_one_that_does_not_fit_its_key_is_not_tried",
    ),
    Mutant(
        "rule 21",
        "a registry is ended while a collection counts on its process",
        "registry_control.py",
        "            if run := self.runs.hold():\n",
        "            if run := self.runs.hold()[:0]:\n",
        f"{UNIT}/test_registry_control.py::TestOneAtATime"
        "::test_not_while_a_collection_counts_on_the_process",
    ),
]
