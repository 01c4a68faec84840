"""Each rule and each attack (docs/develop/rules.md), broken on purpose, and the test that says so.

`old` must stand exactly once in the module. The gate takes the first one of each rule, if it is
`quick`; the others and the attacks belong to `make test-full`.
"""

from dataclasses import dataclass

UNIT = "tests/unit"
RACES = f"{UNIT}/test_races.py::test_rule_1_holds_in_every_order"


@dataclass(frozen=True)
class Mutant:
    """One sentence of what is broken, the change that breaks it, and the test that must fail."""

    rule: str
    breaks: str
    module: str
    old: str
    new: str
    test: str
    quick: bool = True


RULES = [
    Mutant(
        "rule 1",
        "nothing is put back that a push needs by now",
        "healing.py",
        "needed = [entry for entry in taken if entry not in dead]",
        "needed = [entry for entry in taken if entry not in dead and False]",
        f"{RACES}[W5 a manifest's check of its layers and its revision link-3.1.1, no cache]",
    ),
    Mutant(
        "rule 1",
        "a blob is removed where it should be buried",
        "journal.py",
        "        self.taken[deletion.entry] = away\n        moved =",
        "        self.taken[deletion.entry] = away\n"
        "        if deletion.entry.kind is Kind.BLOB:\n"
        "            self._store.remove(away)\n"
        "            return True\n"
        "        moved =",
        f"{UNIT}/test_collect.py::TestPushesMeanwhile"
        "::test_a_new_image_on_dead_layers_keeps_them[confirm]",
    ),
    Mutant(
        "rule 1",
        "the registry forgets nothing",
        "collect.py",
        "restarts = self.memory.forget(journal.taken.keys(), healing.while_waiting)",
        "restarts = 0",
        f"{UNIT}/test_collect.py"
        "::test_the_registry_forgets_after_the_burial_and_before_the_removal",
    ),
    Mutant(
        "rule 2",
        "what an index lists is not followed",
        "reachability.py",
        "            waiting.extend(manifest.children)\n            if manifest.subject",
        "            if manifest.subject",
        f"{UNIT}/test_rules.py::test_rule_2_what_a_tag_leads_to_stays[nested_index]",
    ),
    Mutant(
        "rule 2",
        "a referrer does not live with its subject",
        "reachability.py",
        "                self._referrers[manifest.subject].add(digest)",
        "                pass",
        f"{UNIT}/test_rules.py::test_rule_2_what_a_tag_leads_to_stays[untagged_referrer]",
    ),
    Mutant(
        "rule 2",
        "a link by another algorithm does not protect the blob that it holds",
        "reachability.py",
        "                self.found.live.add(target)",
        "                pass",
        f"{UNIT}/test_rules.py::test_rule_2_what_a_tag_leads_to_stays[layer_named_by_sha512]",
    ),
    Mutant(
        "rule 3",
        "nothing is young",
        "plan.py",
        "return reference - modified <= nanoseconds(self.options.grace_period)",
        "return False",
        f"{UNIT}/test_collect.py::test_rule_3_nothing_younger_than_the_grace_period_goes[revision]",
    ),
    Mutant(
        "rule 3",
        "our own clock counts, not the storage's",
        "collect.py",
        "        return Clock(self.store.now(), self.options)",
        "        return Clock(time.time_ns(), self.options)",
        f"{UNIT}/test_inventory.py::test_rule_3_holds_with_our_own_clock_off",
    ),
    Mutant(
        "rule 4",
        "what a dead run had doomed is not removed",
        "collect.py",
        "    if journal.has_doomed:\n        _discard(store, journal)\n    if failed",
        "    if failed",
        f"{UNIT}/test_crash.py::test_rule_4_any_job_that_dies_or_fails_is_ended_by_the_next"
        "[recover what was doomed-died-spread]",
    ),
    Mutant(
        "rule 4",
        "what a dead run had taken is not put back",
        "collect.py",
        "    if failed := journal.put_all_back():\n        raise _not_undone(failed)\n    return",
        "    return",
        f"{UNIT}/test_crash.py::test_rule_4_any_job_that_dies_or_fails_is_ended_by_the_next"
        "[recover what was taken-died-spread]",
    ),
    Mutant(
        "rule 4",
        "offline, a subject goes before the tag that follows it",
        "plan.py",
        "    for tag, current in sorted(repository.tags.items(), key=lambda item: item[0]):",
        "    for digest in sorted(repository.revisions - reach.live):\n"
        '        yield Entry(Kind.REVISION_LINK, name, digest), "no tag leads to it"\n'
        "    for tag, current in sorted(repository.tags.items(), key=lambda item: item[0]):",
        f"{UNIT}/test_crash.py::test_rule_4_any_job_that_dies_or_fails_is_ended_by_the_next"
        "[offline-EIO from then on-spread]",
        quick=False,
    ),
    Mutant(
        "rule 5",
        "a dry run fills the journal's reserve",
        "collect.py",
        "        view = View(self.store, Journal(self.store).taken)\n",
        "        view = View(self.store, Journal(self.store).taken)\n"
        "        _prepare(Journal(self.store))\n",
        f"{UNIT}/test_collect.py"
        "::test_rule_5_a_dry_run_changes_nothing_and_says_what_a_real_one_does",
    ),
    Mutant(
        "rule 6",
        "stale uploads stay, so the next run finds them again",
        "collect.py",
        "            if self._goes_on(upload):\n                continue\n",
        "            if upload.files:\n                continue\n",
        f"{UNIT}/test_collect.py::test_rule_6_the_second_run_finds_nothing",
    ),
    Mutant(
        "rule 7",
        "a store without blobs is refused",
        "plan.py",
        "    if plan.seen and not has_repositories:",
        "    if not has_repositories:",
        f"{UNIT}/test_collect.py::test_rule_7_an_empty_store_is_fine[nothing]",
    ),
    Mutant(
        "rule 8",
        "a manifest that cannot be read keeps nothing but itself",
        "reachability.py",
        "    def _damaged(self, digest: Digest, error: DamagedManifestError) -> None:\n"
        "        self.found.whole = True\n",
        "    def _damaged(self, digest: Digest, error: DamagedManifestError) -> None:\n",
        f"{UNIT}/test_rules.py"
        "::test_rule_8_what_depends_on_damage_is_kept_and_the_rest_goes_on[garbage_manifest]",
    ),
    Mutant(
        "rule 9",
        "blobs go although a folder could not be read",
        "survey.py",
        "    if plan.complete:\n",
        "    if True:\n",
        f"{UNIT}/test_inventory.py::test_rule_9_nothing_is_deleted_in_what_a_failed_listing_covers",
    ),
    Mutant(
        "rule 10",
        "a plan may remove all blobs",
        "plan.py",
        "    if len(plan.blobs) > options.max_delete_ratio * plan.seen:",
        "    if len(plan.blobs) > plan.seen:",
        f"{UNIT}/test_rules.py::test_rule_10_a_plan_that_looks_like_a_mistake_is_refused"
        "[5-45-the limit is 80%]",
    ),
    Mutant(
        "rule 10",
        "a store without a tag is collected",
        "plan.py",
        "    if not plan.tags:\n",
        "    if False:\n",
        f"{UNIT}/test_rules.py::test_rule_10_a_plan_that_looks_like_a_mistake_is_refused"
        "[0-40-not one tag]",
    ),
    Mutant(
        "rule 11",
        "two collectors share the lock",
        "lock.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        f"{UNIT}/test_rules.py::test_rule_11_of_two_collectors_one_runs",
    ),
    Mutant(
        "rule 12",
        "an empty repository keeps its folders",
        "collect.py",
        "        for repository in found.repositories:\n",
        "        for repository in found.repositories[:0]:\n",
        f"{UNIT}/test_collect.py::test_rule_12_nothing_of_the_deleted_is_left",
    ),
    Mutant(
        "rule 13",
        "no key is removed from Redis",
        "redis_cache.py",
        "        aliases = _aliases(client, set(blobs)) if blobs else []\n",
        "        return\n        aliases = _aliases(client, set(blobs)) if blobs else []\n",
        "tests/registry/test_redis.py::test_rule_13_exactly_the_keys_of_deleted_digests_go[3.1.1]",
        quick=False,
    ),
    Mutant(
        "rule 14",
        "a child that was never fetched is damage",
        "reachability.py",
        "            self._is_tagged(digest)\n"
        "            and digest in self.repository.revisions\n"
        "            and self._age(entry) is not Age.MISSING\n",
        "            self._age(entry) is not None\n",
        f"{UNIT}/test_rules.py"
        "::test_rule_14_a_pull_through_cache_keeps_its_schedule_and_may_lack_children",
    ),
    Mutant(
        "rule 15",
        "a tag's history stays",
        "plan.py",
        "    return sorted(index - {current})",
        "    return []",
        "tests/registry/test_differential.py"
        "::test_rule_15_every_difference_from_the_reference_has_a_name[101]",
        quick=False,
    ),
]

ATTACKS = [
    Mutant(
        "attack 1",
        "an old registry is restarted without a drain",
        "descriptor_cache.py",
        "        if not self.config.drain_timeout:",
        "        if False:",
        f"{UNIT}/test_descriptor_cache.py::test_attack_1_old_registries_need_a_drain",
    ),
    Mutant(
        "attack 2",
        "a run that is stopped leaves what it took where it is",
        "collect.py",
        "            failed = journal.put_all_back()\n            if failed and",
        "            failed: list[str] = []\n            if failed and",
        f"{UNIT}/test_collect.py::TestUndo::test_a_stopped_run_puts_everything_back",
    ),
    Mutant(
        "attack 5",
        "every tag of that form goes when its subject is not there",
        "reachability.py",
        " or subject not in repository.revisions:\n            continue\n"
        "        if age(Entry(Kind.REVISION_LINK, repository.name, subject)) is Age.MISSING:\n",
        ":\n",
        f"{UNIT}/test_reachability.py::TestTagsNamedAfterADigest"
        "::test_attack_5_it_goes_with_its_subject_and_only_with_it",
    ),
    Mutant(
        "attack 6",
        "an edited configuration is what runs",
        "descriptor_cache.py",
        "            self.edited > registry.started + _CLOCK_ERROR for registry in self.registries",
        "            False for registry in self.registries",
        f"{UNIT}/test_descriptor_cache.py::test_attack_6_a_file_newer_than_the_process",
    ),
    Mutant(
        "attack 7",
        "a tag that cannot be read names nothing",
        "reachability.py",
        "    return repository.index[tag] or repository.revisions",
        "    return []",
        f"{UNIT}/test_reachability.py::TestTagsNamedAfterADigest"
        "::test_attack_7_one_that_cannot_be_read_keeps_all_that_it_named",
    ),
    Mutant(
        "attack 8",
        "blobs without repositories are all dead",
        "plan.py",
        "    if plan.seen and not has_repositories:",
        "    if False:",
        f"{UNIT}/test_plan.py::test_blobs_without_repositories_are_refused_at_any_number",
    ),
    Mutant(
        "attack 9",
        "what is put back overwrites what stands there",
        "storage.py",
        "                os.link(old, new, follow_symlinks=False)\n",
        "                os.replace(old, new)\n                return True\n",
        f"{UNIT}/test_storage.py::TestPutNew::test_it_does_not_overwrite",
    ),
    Mutant(
        "attack 10",
        "a network file system settles no longer than another",
        "run.py",
        "max(self.options.settle_period, least_settle_period(store.root))",
        "self.options.settle_period",
        f"{UNIT}/test_run.py::test_attack_10_a_network_file_system_settles_for_longer",
    ),
    Mutant(
        "attack 11",
        "a link that was taken is not looked at again",
        "inventory.py",
        "        if (away := self.taken.get(entry)) and (found := self.store.read(away, limit)):\n"
        "            return *found, True\n"
        "        return None\n",
        "        return None\n",
        f"{UNIT}/test_healing.py::test_what_was_written_through_an_open_file_comes_back",
    ),
    Mutant(
        "attack 12",
        "a blob's fan-out folder goes with it",
        "vacant.py",
        "    top = folder\n",
        '    top = "blobs" if entry.kind is Kind.BLOB else folder\n',
        f"{UNIT}/test_vacant.py::test_fan_out_folders_stay",
    ),
    Mutant(
        "attack 13",
        "what Redis remembers by another algorithm stays",
        "redis_cache.py",
        "        aliases = _aliases(client, set(blobs)) if blobs else []\n",
        "        aliases: list[str] = []\n",
        "tests/registry/test_redis.py::test_a_member_without_a_link_goes_too_and_so_does_an_alias",
    ),
    Mutant(
        "attack 15",
        "whatever stands at a blob's place may stay there",
        "journal.py",
        "        if theirs.size != mine.size:\n            return False\n",
        "        if theirs.size != mine.size:\n            return True\n",
        f"{UNIT}/test_collect.py::TestPushesMeanwhile"
        "::test_a_cut_upload_of_the_same_blob_is_replaced",
    ),
    Mutant(
        "attack 16",
        "a tag that was deleted meanwhile comes back",
        "journal.py",
        "        if folder is None:\n            return True\n",
        "        if folder is None:\n"
        '            self._store.make_folder(f"{REGISTRY}/{layout.folder_of(entry)}")\n'
        "            return False\n",
        f"{UNIT}/test_collect.py::TestPushesMeanwhile"
        "::test_attack_16_a_deleted_tag_is_not_brought_back",
    ),
    Mutant(
        "attack 17",
        "a manifest that was deleted meanwhile comes back",
        "journal.py",
        "        return folder.modified > mine.changed + _SETTLED",
        "        return False",
        f"{UNIT}/test_collect.py::TestPushesMeanwhile"
        "::test_attack_17_a_manifest_deleted_since_is_not_brought_back",
    ),
    Mutant(
        "attack 18",
        "an upload that goes on protects no layer",
        "survey.py",
        "        since = self._since if entry.kind is Kind.LAYER_LINK else None",
        "        since = None",
        f"{UNIT}/test_collect.py::test_an_upload_in_progress_keeps_the_layers_that_it_may_rest_on",
    ),
    Mutant(
        "attack 19",
        "a registry is ended although nothing starts it again",
        "descriptor_cache.py",
        '        if option != "always":',
        '        if option == "never":',
        f"{UNIT}/test_descriptor_cache.py::test_attack_19_no_restart_unless_told",
    ),
    Mutant(
        "attack 20",
        "nothing is healed while much is taken",
        "collect.py",
        "            self._check_stop()\n            healing.when_due()\n",
        "            self._check_stop()\n",
        f"{UNIT}/test_healing.py::test_attack_20_a_long_unlinking_heals_meanwhile",
    ),
    Mutant(
        "attack 21",
        "a link is moved without a look before",
        "journal.py",
        " or not _same(self._store.stat(path), deletion.stat):\n",
        ":\n",
        f"{UNIT}/test_rules.py::test_attack_21_a_link_that_was_written_anew_is_not_even_moved",
    ),
    Mutant(
        "attack 21",
        "a link is not looked at again after the move",
        "journal.py",
        "        if moved is None or not _same(moved, deletion.stat):\n",
        "        if moved is None:\n",
        f"{UNIT}/test_journal.py::TestTaking::test_what_changed_after_the_look_is_put_back",
    ),
]
