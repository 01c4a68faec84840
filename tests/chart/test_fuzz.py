"""Whatever people write, Helm renders what the cluster takes, or says in words what is wrong.

Good values (the scenarios, the peers' among them) of which one to three are changed. Never may a
template fail: its words name lines of files that their reader has never seen.
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from helm_chart_test.fixtures import Renderer
from support.chart import API_VERSIONS, CHART, HELMS, SCENARIOS, Helm, helm_of
from support.fuzzing import Case, cases, judged, known_values

SHARDS = 4
"""For tests that run side by side; each draws other cases, always the same."""


def _search(shard: int, helm: Helm, count: int) -> Counter[str]:
    """Judge so many cases. Return how Helm answered; fail with the smallest that is wrong."""
    answers: Counter[str] = Counter()

    @seed(shard)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=cases())
    def each(case: Case) -> None:
        answer, wrong = judged(case, Renderer(CHART, helm_of(helm), API_VERSIONS))
        answers[answer] += 1
        assert wrong == [], f"{case}: {answer}"

    each()
    return answers


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_values_break_a_template(shard: int, helm: Helm) -> None:
    """Seen to fail: `.Values.nameOverride` without a kind, so that `trunc` gets a number."""
    answers = _search(shard, helm, 30)
    assert answers["rendered"] > 5, answers
    assert answers["schema"] > 1, answers


@pytest.mark.full
@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("shard", range(SHARDS, 3 * SHARDS))
def test_thousands_of_values_break_no_template(shard: int, helm: Helm) -> None:
    """The same with more cases. Seen to fail: as above, and `quote` left out around a text."""
    answers = _search(shard, helm, 400)
    assert {"rendered", "schema", "sentence"} <= answers.keys(), answers


def test_the_cases_reach_every_value_and_the_judge_is_not_blind() -> None:
    """Seen to fail: a judge that takes every answer; a mark that is looked for nowhere."""
    helm = Renderer(CHART, helm_of("helm"))
    default = next(path for path in SCENARIOS if path.stem == "default")
    assert len(known_values()) > 200
    answer, wrong = judged(Case(default, {("service", "port"): "http"}), helm)
    assert (answer, wrong) == ("schema", [])
    answer, wrong = judged(Case(default, {("storage",): "tape"}), helm)
    assert (answer, wrong) == ("sentence", [])
    answer, wrong = judged(Case(default, {("affinity",): {"nodeAffinty": {}}}), helm)
    assert answer == "rendered"
    assert "nodeAffinty" in wrong[0]
    # What the chart makes of this text is another, on purpose: a template is filled in.
    text = '{{ .Release.Name }}{{ "" }}zq7'
    answer, wrong = judged(Case(default, {("podAnnotations",): {"a": text}}), helm)
    assert answer == "rendered"
    assert "a text became 'testzq7'" in wrong[0]
