"""Estimators in worlds small enough to sum over every list and every click: expectations are exact, not sampled."""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
import pytest

from lersbench.clicks import model as click_model
from lersbench.errors import ConfigError, DataError
from lersbench.offpolicy import propensity
from tests.support import slate_twins as est

ITEMS, SLOTS = 4, 3
LISTS = np.array(list(permutations(range(ITEMS), SLOTS)))
CLICKS = np.array(list(product((0, 1), repeat=SLOTS)))
UNIFORM = np.full(len(LISTS), 1 / len(LISTS))


class World(NamedTuple):
    """Every outcome of one slate: its list, its clicks and its probability under the logging policy."""

    model: click_model.ClickModel
    attraction: np.ndarray  # (4,)
    logging: np.ndarray  # (24,) over LISTS
    target: np.ndarray  # (24,)
    which: np.ndarray  # (n,) the list of each outcome
    clicks: np.ndarray  # (n, 3)
    chance: np.ndarray  # (n,)

    @property
    def slates(self) -> np.ndarray:
        return LISTS[self.which]

    def mean(self, estimate: est.Estimate) -> float:
        """The expectation of the estimate."""
        return float(self.chance @ estimate.values)

    def truth(self) -> tuple[float, float]:
        """CTR_sum and CTR_set of the target policy, summed over its lists and all clicks."""
        each = np.array([[click_chance(self, a, c) for c in CLICKS] for a in LISTS])
        return float(self.target @ each @ CLICKS.sum(1)), float(self.target @ each @ CLICKS.any(1))

    def by_candidate(self, values: np.ndarray) -> np.ndarray:
        return est.by_candidate(values, self.slates, ITEMS)

    def marginals(self, policy: np.ndarray) -> np.ndarray:
        """(3, 4) P(item at slot)."""
        out = np.zeros((SLOTS, ITEMS))
        for chance, items in zip(policy, LISTS, strict=True):
            out[range(SLOTS), items] += chance
        return out

    def prefix(self, policy: np.ndarray) -> np.ndarray:
        """(n, 3) P(the list begins with the a_1..a_k of each outcome)."""
        same = np.cumprod(LISTS[:, None] == LISTS[None], axis=2)  # (24, 24, 3)
        return np.einsum("a,abk->bk", policy, same)[self.which]

    def exposures(self, policy: np.ndarray) -> np.ndarray:
        return est.list_exposures(self.model, LISTS, self.attraction, policy)


def click_chance(world: World, items: np.ndarray, clicks: np.ndarray) -> float:
    """P(clicks | list) for models nobody leaves, straight from the definition."""
    chance, last = 1.0, 0
    for k in range(SLOTS):
        p = world.model.weights[k, last] * world.attraction[items[k]]
        chance *= p if clicks[k] else 1 - p
        last = k + 1 if clicks[k] else last
    return chance


def world_of(kind: str, seed: int, logging: np.ndarray | None = None) -> World:
    rng = np.random.default_rng(seed)
    policies = rng.dirichlet(np.ones(len(LISTS)), size=2)
    logged = policies[0] if logging is None else logging
    made = click_model.pbm(rng.random(SLOTS)) if kind == "pbm" else click_model.ubm(rng.random((SLOTS, SLOTS + 1)))
    which = np.repeat(np.arange(len(LISTS)), len(CLICKS))
    empty = World(made, rng.random(ITEMS), logged, policies[1], which, np.tile(CLICKS, (len(LISTS), 1)), np.empty(0))
    chance = [logged[w] * click_chance(empty, LISTS[w], c) for w, c in zip(which, empty.clicks, strict=True)]
    return empty._replace(chance=np.array(chance))


def sips(w: World, clicks: np.ndarray, clip: float = math.inf) -> est.Estimate:
    return est.sips(clicks, w.target[w.which], w.logging[w.which], clip)


def iips(w: World, clicks: np.ndarray, clip: float = math.inf) -> est.Estimate:
    target, logging = (w.marginals(p)[np.arange(SLOTS), w.slates] for p in (w.target, w.logging))
    return est.iips(clicks, target, logging, clip)


def rips(w: World, clicks: np.ndarray, clip: float = math.inf) -> est.Estimate:
    return est.rips(clicks, w.prefix(w.target), w.prefix(w.logging), clip)


def exposure_ips(w: World, clicks: np.ndarray, clip: float = math.inf) -> est.Estimate:
    form = est.pbm_ips if propensity.position_based(w.model) else est.ubm_ips
    examination = w.by_candidate(est.examination_above(w.model, w.clicks))
    return form(w.by_candidate(clicks), w.exposures(w.target), w.exposures(w.logging), examination, clip)


FORMS = [sips, iips, rips, exposure_ips]
SEEDS = [0, 1, 2]


def test_the_world_itself_agrees_with_the_click_model() -> None:
    for kind in ("pbm", "ubm"):
        w = world_of(kind, 0)
        assert w.chance.sum() == pytest.approx(1, abs=1e-14)
        each = [
            click_model.expected(w.model.weights, w.model.goes_on, w.attraction[a], np.empty(4), np.empty(3))
            for a in LISTS
        ]
        np.testing.assert_allclose(w.truth(), w.target @ np.array(each), rtol=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", FORMS)
def test_all_are_right_under_the_position_based_model(form, seed: int) -> None:
    w = world_of("pbm", seed)
    assert w.mean(form(w, w.clicks)) == pytest.approx(w.truth()[0], abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("form", [sips, rips, exposure_ips])
def test_ubm_ips_rips_and_sips_are_right_under_the_user_browsing_model(form, seed: int) -> None:
    w = world_of("ubm", seed)
    assert w.mean(form(w, w.clicks)) == pytest.approx(w.truth()[0], abs=1e-12)


def assert_biased(errors: list[float]) -> None:
    """Wrong in every world, by far more than rounding, and in some by a lot."""
    assert np.abs(errors).min() > 1e-7
    assert np.abs(errors).max() > 1e-3


def test_item_position_and_position_based_weights_are_biased_under_the_user_browsing_model() -> None:
    off: dict[str, list[float]] = {"iips": [], "pbm": []}
    for seed in SEEDS:
        w = world_of("ubm", seed)
        averaged = w._replace(model=click_model.pbm([row[: k + 1].mean() for k, row in enumerate(w.model.weights)]))
        off["iips"].append(w.mean(iips(w, w.clicks)) - w.truth()[0])
        off["pbm"].append(w.mean(exposure_ips(averaged, w.clicks)) - w.truth()[0])
    assert_biased(off["iips"])
    assert_biased(off["pbm"])


@pytest.mark.parametrize("kind", ["pbm", "ubm"])
def test_rips_and_sips_of_first_clicks_are_the_set_ctr_and_nothing_else_is(kind: str) -> None:
    off: dict[str, list[float]] = {"iips": [], "exposure": []}
    for seed in SEEDS:
        w = world_of(kind, seed)
        first, truth = est.first_clicks(w.clicks), w.truth()[1]
        assert w.mean(rips(w, first)) == pytest.approx(truth, abs=1e-12)
        assert w.mean(sips(w, first)) == pytest.approx(truth, abs=1e-12)
        off["iips"].append(w.mean(iips(w, first)) - truth)
        off["exposure"].append(w.mean(exposure_ips(w, first)) - truth)
    assert_biased(off["iips"])
    assert_biased(off["exposure"])


def test_first_clicks_by_hand() -> None:
    np.testing.assert_array_equal(
        est.first_clicks([[0, 1, 1], [0, 0, 0], [1, 0, 1]]), [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pseudo_inverse_is_right_where_positions_add_up(seed: int) -> None:
    for kind, right in (("pbm", True), ("ubm", False)):
        w = world_of(kind, seed, UNIFORM)
        found = w.mean(est.pi(w.clicks, w.slates, w.marginals(w.target)))
        assert (abs(found - w.truth()[0]) < 1e-12) == right


def test_gamma_of_uniform_logging_is_its_definition() -> None:
    shown = np.zeros((len(LISTS), SLOTS, ITEMS))
    shown[np.arange(len(LISTS))[:, None], np.arange(SLOTS), LISTS] = 1
    flat = shown.reshape(len(LISTS), -1)
    gamma = flat.T @ flat / len(LISTS)
    np.testing.assert_allclose(np.linalg.pinv(gamma, rcond=1e-10), est.uniform_gamma_inverse(ITEMS, SLOTS), atol=1e-12)
    whole = est.uniform_gamma_inverse(3, 3)  # permutations: the whole list is shown
    assert np.abs(whole).max() < 10


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["pbm", "ubm"])
def test_controls_have_expectation_one(form, kind: str) -> None:
    w = world_of(kind, 4)
    if kind == "pbm" or form is not iips:
        np.testing.assert_allclose(w.chance @ form(w, w.clicks).controls, 1, atol=1e-12)


def test_control_of_the_pseudo_inverse_has_expectation_one() -> None:
    w = world_of("ubm", 4, UNIFORM)
    assert w.chance @ est.pi(w.clicks, w.slates, w.marginals(w.target)).controls == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_clipping_only_takes_away(form) -> None:
    w = world_of("ubm", 5)
    free, cut = form(w, w.clicks), form(w, w.clicks, 1.1)
    assert free.clipped == 0 < cut.clipped
    assert (cut.values <= free.values).all()
    assert w.mean(cut) < w.mean(free)
    assert cut.weights.max() == 1.1 < free.weights.max()


def test_logging_by_the_target_itself_gives_the_mean() -> None:
    w = world_of("ubm", 6)
    same = w._replace(target=w.logging)
    for form in FORMS:
        found = form(same, w.clicks)
        np.testing.assert_allclose(found.values, w.clicks.sum(1), rtol=1e-12)


def sampled(w: World, n: int, seed: int) -> World:
    """The same world as a log of n slates."""
    rows = np.random.default_rng(seed).choice(len(w.chance), size=n, p=w.chance / w.chance.sum())
    return w._replace(which=w.which[rows], clicks=w.clicks[rows], chance=np.full(n, 1 / n))


def test_self_normalised_rips_is_the_sequential_form_of_its_paper() -> None:
    w = sampled(world_of("ubm", 7), 300, 1)
    target, logging = w.prefix(w.target), w.prefix(w.logging)
    steps = target / logging
    steps[:, 1:] = np.divide(steps[:, 1:], steps[:, :-1])
    running, total = np.ones(300), 0.0
    for k in range(SLOTS):
        running = 300 * running * steps[:, k] / (running * steps[:, k]).sum()
        total += float(running @ w.clicks[:, k]) / 300
    assert rips(w, w.clicks).value(normalised=True) == pytest.approx(total, rel=1e-12)


def test_self_normalised_sips_and_its_error_by_hand() -> None:
    """Weights 2, 1/2, 0 and rewards 1, 2, 1: (2 + 1) / 2.5 = 1.2; the delta method of the ratio."""
    found = est.sips(np.array([[1, 0], [1, 1], [0, 1]]), np.array([0.2, 0.1, 0.0]), np.array([0.1, 0.2, 0.5]))
    assert found.value() == pytest.approx(1.0)
    assert found.value(normalised=True) == pytest.approx(1.2)
    assert found.ess == pytest.approx(2.5**2 / 4.25)
    residual = np.array([2 * (1 - 1.2), 0.5 * (2 - 1.2), 0.0])
    assert found.standard_error(normalised=True) == pytest.approx(math.sqrt((residual**2).sum() * 3 / 2) / 2.5)
    assert found.standard_error() == pytest.approx(1 / math.sqrt(3))
    low, high = found.normal(0.95)
    assert (low, high) == (pytest.approx(1 - 1.959964 / math.sqrt(3)), pytest.approx(1 + 1.959964 / math.sqrt(3)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("normalised", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(form, normalised: bool) -> None:
    rough = np.random.default_rng(8).dirichlet(np.ones(len(LISTS)))
    w = world_of("pbm", 8, 0.5 * rough + 0.5 * UNIFORM)  # no list so rare that its weight alone decides
    truth, found = w.truth()[0], 0
    for seed in range(200):
        log = sampled(w, 400, seed)
        low, high = form(log, log.clicks).normal(0.9, normalised)
        found += low <= truth <= high
    assert 0.83 < found / 200 < 0.96  # 0.9 -+ 3 standard errors of 200 trials, and a little for skewness


@pytest.mark.parametrize("normalised", [False, True])
def test_bootstrap_agrees_with_the_normal_interval_on_many_slates(normalised: bool) -> None:
    log = sampled(world_of("ubm", 9), 2000, 3)
    for form in FORMS:
        found = form(log, log.clicks)
        low, high = found.normal(normalised=normalised)
        ends = found.bootstrap(normalised=normalised, replicates=1000)
        np.testing.assert_allclose(ends, (low, high), atol=0.12 * (high - low))
        assert ends == found.bootstrap(normalised=normalised, replicates=1000)


def test_an_estimate_without_any_weight_is_not_a_number() -> None:
    found = est.sips(np.ones((3, 2)), np.zeros(3), np.full(3, 0.5))
    assert found.value() == 0
    assert found.ess == 0
    assert math.isnan(found.value(normalised=True))


@pytest.mark.parametrize("logging", [0.0, -0.1, np.nan])
def test_propensities_without_meaning_are_refused(logging: float) -> None:
    with pytest.raises(DataError, match="row 1, column 0"):
        est.iips(np.ones((2, 1)), np.ones((2, 1)), np.array([[0.5], [logging]]))
    with pytest.raises(ConfigError, match="clipped above 0"):
        est.iips(np.ones((2, 1)), np.ones((2, 1)), np.ones((2, 1)), clip=0.0)
    with pytest.raises(ConfigError, match="5 positions"):
        est.uniform_gamma_inverse(4, 5)


def test_agreement_ends_at_the_first_difference() -> None:
    np.testing.assert_array_equal(est.agreement([[2, 0], [1, 3]], [[2, 0, 1], [0, 3, 1]]), [[1, 1], [0, 0]])


def test_examination_above_reads_the_last_click() -> None:
    model = click_model.ubm([[0.9, 0, 0, 0], [0.1, 0.2, 0, 0], [0.3, 0.4, 0.5, 0]])
    found = est.examination_above(model, np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 1]]))
    np.testing.assert_array_equal(found, [[0.9, 0.1, 0.3], [0.9, 0.2, 0.4], [0.9, 0.1, 0.5], [0.9, 0.2, 0.5]])
    with pytest.raises(ConfigError, match="no user leaves"):
        est.examination_above(click_model.cascade(2), np.zeros((1, 2)))


def test_replay_of_non_uniform_logging_converges_to_the_tilted_value() -> None:
    """Two contexts, two actions: matches are more frequent where logging agrees, so replay is tilted."""
    share, chosen, value = np.array([0.3, 0.7]), np.array([0.8, 0.1]), np.array([0.9, 0.2])
    tilted = (share * chosen * value).sum() / (share * chosen).sum()
    rng = np.random.default_rng(0)
    x = (rng.random(200_000) < share[1]).astype(int)
    match = rng.random(x.size) < chosen[x]
    click = (rng.random(x.size) < value[x])[:, None]
    assert click[match].mean() == pytest.approx(tilted, abs=0.01)
    assert abs(tilted - share @ value) > 0.2
    found = est.sips(click, match.astype(float), chosen[x])
    assert found.value() == pytest.approx(share @ value, abs=5 * found.standard_error())


# The on-line form


def online(w: World, slate: np.ndarray, clip: float = math.inf) -> np.ndarray:
    """(n, 5) what `ips_value` says of every outcome of a world."""
    examined, exposure = np.empty(len(slate)), w.exposures(w.logging)
    click_model.expected(w.model.weights, w.model.goes_on, w.attraction[slate], np.empty(len(slate) + 1), examined)
    rows = zip(w.slates, w.clicks.astype(float), strict=True)
    return np.array([est.ips_value(slate, examined, exposure, a, c, clip) for a, c in rows])


@pytest.mark.parametrize("kind", ["pbm", "ubm"])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_one_round_is_unbiased_for_every_slate(kind: str, length: int) -> None:
    w = world_of(kind, 10)
    for slate in LISTS[::5, :length]:
        truth = click_model.expected(
            w.model.weights, w.model.goes_on, w.attraction[slate], np.empty(length + 1), np.empty(length)
        )
        assert w.chance @ online(w, slate)[:, 0] == pytest.approx(truth[0], abs=1e-12)


def test_one_round_is_the_offline_estimator() -> None:
    w = world_of("ubm", 11)
    slate = LISTS[7]
    sure = w._replace(target=np.eye(len(LISTS))[7])
    for clip in (math.inf, 1.3):
        found, offline = online(w, slate, clip), exposure_ips(sure, w.clicks, clip)
        np.testing.assert_allclose(found[:, 0], offline.values, rtol=1e-12)
        np.testing.assert_allclose(found[:, 1], offline.weights.sum(1), rtol=1e-12)
        np.testing.assert_allclose(found[:, 2], (offline.weights**2).sum(1), rtol=1e-12)
        assert found[:, 3].sum() == offline.clipped
        assert found[:, 4].sum() == offline.unsupported == 0
        summary = est.summarise(len(found), *found[:, 0:1].sum(0), (found[:, 0] ** 2).sum(), *found[:, 1:3].sum(0), 3)
        assert summary.value == pytest.approx(offline.value())
        assert summary.error == pytest.approx(offline.standard_error())
        assert summary.ess_share == pytest.approx(offline.ess / (3 * len(found)))


def test_removing_clickless_slates_divides_every_value_by_the_share_kept() -> None:
    w = world_of("ubm", 13)
    kept = w.clicks.any(1)
    share = w.chance[kept].sum()
    assert share < 0.9
    for form in FORMS:
        if form is not iips:
            values = form(w, w.clicks).values
            assert w.chance[kept] @ values[kept] / share == pytest.approx(w.truth()[0] / share, abs=1e-12)


def test_one_round_by_hand() -> None:
    """Items 2 and 0 shown; 0 was logged first with a click (0.5 / 0.25), 2 last with a click (1 / 0.2, cut at 4)."""
    slate, logged = np.array([2, 0]), np.array([0, 1, 2])
    args = slate, np.array([1.0, 0.5]), np.array([0.25, 0.3, 0.2]), logged, np.array([1.0, 1.0, 1.0])
    assert est.ips_value(*args, math.inf) == (7.0, 7.0, 29.0, 0, 0)
    assert est.ips_value(*args, 4.0) == (6.0, 6.0, 20.0, 1, 0)


def test_an_item_never_examined_by_the_logging_policy_is_unsupported() -> None:
    found = est.ips_value(np.array([0]), np.array([0.5]), np.array([0.0]), np.array([0]), np.array([0.0]), 10.0)
    assert found == (0.0, 0.0, 0.0, 0, 1)


def test_summary_of_nothing_and_of_one() -> None:
    assert np.isnan(est.summarise(0, 0, 0, 0, 0, 3)).all()
    assert math.isnan(est.summarise(1, 2.0, 4.0, 1.0, 1.0, 3).error)
    nothing = est.summarise(2, 0.0, 0.0, 0.0, 0.0, 3, unsupported=3)
    assert np.isnan(nothing[:2]).all() and nothing[2:] == (0.0, 0.5)
    assert est.summarise(5, 5.0, 9.0, 30.0, 60.0, 3).ess_share == 1.0  # 15 weights of 2


@pytest.mark.parametrize("kind", ["pbm", "ubm"])
def test_a_learner_is_valued_without_bias_along_its_own_path(kind: str) -> None:
    """It learns from the very clicks it is valued by; its slate of a round is fixed before the round's clicks."""
    w = world_of(kind, 12, UNIFORM)
    outcomes, values = np.empty((len(LISTS), len(w.chance))), np.empty(len(LISTS))
    for i, slate in enumerate(LISTS):
        outcomes[i] = online(w, slate)[:, 0]
        values[i] = w.chance @ outcomes[i]
    which = {tuple(items.tolist()): i for i, items in enumerate(LISTS)}
    errors, scores = [], []
    for run in range(200):
        rng = np.random.default_rng(run)
        clicks, plays, error = np.full(ITEMS, 0.5), np.ones(ITEMS), []
        for row in rng.choice(len(w.chance), size=60, p=w.chance / w.chance.sum()):
            slate = tuple(np.argsort(-(clicks / plays + rng.random(ITEMS) * 0.3), kind="stable")[:SLOTS].tolist())
            error.append(outcomes[which[slate], row] - values[which[slate]])
            scores.append(values[which[slate]])
            np.add.at(clicks, w.slates[row], w.clicks[row])
            np.add.at(plays, w.slates[row], 1.0)
        errors.append(np.mean(error))
    assert np.mean(scores) > values.mean()  # it did learn
    assert abs(np.mean(errors)) < 4 * np.std(errors) / math.sqrt(len(errors))
    assert np.std(errors) / math.sqrt(len(errors)) < 0.05 * np.mean(scores)  # the test could tell 20 %
