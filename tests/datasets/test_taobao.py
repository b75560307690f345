"""The simulated shop: published facts met, columns true to what they say, policies exact, errors that help."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lersbench.clicks import model as click_model
from lersbench.datasets import taobao
from lersbench.datasets.lists import browsing, encoder, rankers
from lersbench.datasets.lists.shop import FEATURES, GROUPS, C, Linear, Shop, recall
from lersbench.datasets.transactions import describe
from lersbench.errors import ConfigError, RunError
from lersbench.log import Log, validate
from lersbench.log.chunk import Chunk

QUICK = {"encoder": "pca", "ranker": "linear"}
SMALL = {**QUICK, "rounds": 1500, "items": 120, "users": 300}


@pytest.fixture(scope="module", autouse=True)
def fewer_earlier_days() -> object:
    """The defaults are for real builds; what is tested here does not depend on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taobao, "EARLIER", 3000)
        patch.setattr(taobao, "SAMPLE", 3)
        yield


@pytest.fixture(scope="module")
def ltr(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return taobao.build(tmp_path_factory.mktemp("ltr") / "log", rounds=25_000, **QUICK)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(960, 2000, 0)


def whole(log: Log) -> Chunk:
    (chunk,) = log.read(chunk_bytes=1 << 30)
    return chunk


def last_click(clicks: np.ndarray) -> np.ndarray:
    return (clicks * np.arange(1, C + 1)).max(axis=1)


# --- the published facts -------------------------------------------------------------------------------------------


def test_the_ranked_log_has_the_published_last_clicks(ltr: Log) -> None:
    rounds, position = whole(ltr), np.arange(1, C + 1)
    last = last_click(rounds.clicks)
    assert len(last) == 25_000 == ltr.info.rounds
    assert last.min() >= 1, "a record without a click was not removed"
    noise = np.sqrt(1 / len(last) + 1 / (3 * taobao.ROWS))  # of this log and of the lists it was calibrated on
    assert rounds.clicks[:, -1].mean() == pytest.approx(0.062, abs=4 * noise * np.sqrt(0.062 * 0.938))
    assert last.mean() == pytest.approx(5.52, abs=4 * noise * last.std())
    facts = ltr.info.provenance
    assert facts["mean position of the last click"] == round(last.mean(), 3)
    assert facts["% with a click at position 12"] == round(100 * rounds.clicks[:, -1].mean(), 2)
    assert facts["% of samples below the last click"] == round(100 * (position > last[:, None]).mean(), 2)
    assert facts["% of samples not examined"] == round(100 * (1 - rounds.examined.mean()), 2)
    assert "54.0" in describe(ltr) and "mean position of the last click" in describe(ltr)


@pytest.mark.parametrize("kind", ["ubm", "pbm"])
def test_calibration_solves_for_both_facts(shop: Shop, kind: str) -> None:
    visits = shop.visits(np.random.default_rng(1), 3000)
    slate = rankers.by_popularity(np.random.default_rng(2), shop.popularity, visits.candidates)
    family = shop.family[visits.candidates]

    def outcome(intercept: float, scroll: float) -> browsing.Facts:
        model = browsing.browsing(C, scroll, kind, browsing.FADE)
        return browsing.facts(model, shop.attraction(visits.appeal, intercept), family, slate)

    found = outcome(*browsing.calibrate(outcome))
    assert found.last_clicked == pytest.approx(0.062, rel=1e-4)
    assert found.mean_last == pytest.approx(5.52, rel=1e-4)


def test_calibration_says_so_where_no_click_model_will_do() -> None:
    with pytest.raises(RunError, match=r"mean last click 5.52.*where they are 0.5000 and 11"):
        browsing.calibrate(
            lambda intercept, scroll: browsing.Facts(0.5 + 1e-9 * (intercept + scroll), 11.0 + scroll * 1e-3)
        )


def test_the_closed_form_of_the_last_click_is_what_users_do(shop: Shop) -> None:
    rng = np.random.default_rng(3)
    visits = shop.visits(rng, 20_000)
    slate = np.argsort(rng.random((20_000, C)), axis=1)
    model, attraction = browsing.browsing(C, 0.5, "ubm", 0.7), shop.attraction(visits.appeal, -2.0)
    family = shop.family[visits.candidates]
    clicks, examined = np.empty(slate.shape), np.empty(slate.shape)
    keys = rng.integers(2**32, size=len(slate))
    browsing.browse(model.weights, model.goes_on, model.fade, attraction, family, slate, keys, clicks, examined)
    last = last_click(clicks)[clicks.any(axis=1)]
    found = browsing.facts(model, attraction, family, slate)
    assert found.mean_last == pytest.approx(last.mean(), abs=4 * last.std() / np.sqrt(len(last)))
    assert found.last_clicked == pytest.approx((last == C).mean(), abs=4 * np.sqrt(0.25 / len(last)))


def test_weights_fall_with_the_position_and_the_distance_to_the_last_click() -> None:
    weights = browsing.browsing(C, 0.4, "ubm", 1.0).weights
    assert weights[0, 0] == 1 == weights[0, 0]
    assert (np.diff(weights[:, 0]) < 0).all()
    for k in range(2, C):
        assert (np.diff(weights[k, 1 : k + 1]) > 0).all(), "the nearer the last click, the better seen"
        assert (np.diff(np.diagonal(weights, offset=-k + 1)[1:]) <= 0).all()
    pbm = browsing.browsing(C, 0.4, "pbm", 1.0).weights
    assert all((pbm[k, : k + 1] == pbm[k, 0]).all() for k in range(C))


# --- the world -----------------------------------------------------------------------------------------------------


def test_there_are_56_named_features_from_0_to_1_and_groups_of_all_kinds(shop: Shop) -> None:
    visits = shop.visits(np.random.default_rng(0), 500)
    assert len(FEATURES) == len(set(FEATURES)) == 56 == sum(len(group) for group in GROUPS.values())
    assert visits.features.shape == (500, C, 56)
    assert visits.features.min() >= 0 and visits.features.max() <= 1
    assert (visits.features.reshape(-1, 56).std(axis=0) > 0.02).all(), "a feature says nothing"
    users = slice(len(GROUPS["item"]), len(GROUPS["item"]) + len(GROUPS["user"]))
    assert (visits.features[:, :, users] == visits.features[:, :1, users]).all()
    np.testing.assert_array_equal(visits.features[:, :, : users.start], shop.item_features[visits.candidates])


def test_candidates_are_distinct_ascending_and_mostly_of_families_the_user_likes(shop: Shop) -> None:
    visits = shop.visits(np.random.default_rng(0), 4000)
    assert (np.diff(visits.candidates, axis=1) > 0).all()
    assert visits.candidates.min() >= 0 and visits.candidates.max() < 960
    liked, _ = shop._likings(visits.user, visits.candidates)
    anyone, _ = shop._likings(visits.user[::-1].copy(), visits.candidates)
    assert liked.mean() > anyone.mean() + 0.5
    same = [len(set(shop.family[row])) for row in visits.candidates]
    assert np.mean(same) < 11, "no families would compete"
    assert len(np.unique(visits.candidates)) > 900


def test_recall_is_the_same_compiled_and_interpreted(shop: Shop) -> None:
    user = np.arange(40)
    compiled, interpreted = np.empty((40, C), np.int64), np.empty((40, C), np.int64)
    tables = shop._family_cdf, shop._item_cdf, shop._first, shop._fame
    recall(np.random.default_rng(5), user, *tables, compiled)
    getattr(recall, "py_func", recall)(np.random.default_rng(5), user, *tables, interpreted)
    np.testing.assert_array_equal(compiled, interpreted)


def test_a_linear_model_only_approximates_the_shop(shop: Shop) -> None:
    visits = shop.visits(np.random.default_rng(0), 5000)
    x = np.column_stack([np.ones(5000 * C), visits.features.reshape(-1, 56)])
    y = visits.appeal.reshape(-1)
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert 0.2 < 1 - residual.var() / y.var() < 0.9


def test_the_linear_world_is_exactly_linear(tmp_path: Path) -> None:
    log = taobao.build(tmp_path / "log", rounds=3000, truth="linear", logging="uniform", filtered=False, items=50)
    rounds, theta = whole(log), np.array(log.info.provenance["theta"])
    np.testing.assert_allclose(rounds.features @ theta, rounds.attraction, atol=1e-12)
    assert rounds.features.shape == (3000, C, Linear.M) and rounds.features.min() >= 0
    assert 0.02 <= rounds.attraction.min() < 0.05 and 0.5 < rounds.attraction.max() <= 0.6
    assert log.info.click_model["fade"] == 1.0 and log.info.users == 0
    assert not rounds.clicks.any(axis=1).all()
    assert validate(tmp_path / "log").ok


# --- the log -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("logging", ["ltr", "plackett-luce", "uniform"])
@pytest.mark.parametrize("kind", ["ubm", "pbm"])
def test_a_log_holds_what_it_says(tmp_path: Path, logging: str, kind: str) -> None:
    log = taobao.build(tmp_path / "log", logging=logging, click_model=kind, **SMALL)
    rounds, info = whole(log), log.info
    assert validate(tmp_path / "log").ok
    assert (info.rounds, info.items, info.users, info.C, info.L, info.m) == (1500, 120, 300, C, C, 10)
    assert (np.sort(rounds.slate, axis=1) == np.arange(C)).all()
    assert (np.diff(rounds.candidates, axis=1) > 0).all(), "the order of the candidates would tell the ranking"
    assert (rounds.clicks <= rounds.examined).all() and rounds.clicks.any(axis=1).all()
    model = click_model.parse(info.click_model)
    assert model.fade == browsing.FADE and (model.goes_on == 1).all()
    assert ("published" in info.provenance) == (logging == "ltr"), "other policies are not what was published of"
    assert info.propensities == {"ltr": "none", "plackett-luce": "logged", "uniform": "uniform"}[logging]
    if logging == "ltr":
        assert rounds.scores.shape[0] == rounds.propensities.shape[0] == 0
    elif logging == "uniform":
        assert (rounds.propensities == 1 / C).all() and not rounds.scores.any()
    table = log.item_table()
    assert table["family"].nunique() == 6 and table["id"].is_unique and len(table) == 120


def test_the_clicks_follow_from_the_stored_truth(tmp_path: Path) -> None:
    """The mean of clicks given examination is the stored attraction, faded by the family above."""
    log = taobao.build(tmp_path / "log", logging="uniform", filtered=False, **{**SMALL, "rounds": 20_000})
    rounds, family = whole(log), log.item_table()["family"].to_numpy()
    model = click_model.parse(log.info.click_model)
    shown = np.empty(rounds.slate.shape)
    for t in range(len(shown)):
        own = family[rounds.candidates[t]]
        click_model.shown_attraction(rounds.attraction[t], own, rounds.slate[t], model.fade, shown[t])
    for k in (0, 1, 5, 11):
        seen = rounds.examined[:, k] == 1
        miss = rounds.clicks[seen, k] - shown[seen, k]
        assert abs(miss.mean()) < 4 * miss.std() / np.sqrt(seen.sum())
    assert log.info.provenance["% of visits with a click"] < 100


def test_the_same_seed_gives_the_same_log_and_a_longer_one_begins_with_the_shorter(tmp_path: Path) -> None:
    one = taobao.build(tmp_path / "one", **SMALL)
    again = taobao.build(tmp_path / "again", **SMALL)
    longer = taobao.build(tmp_path / "longer", **{**SMALL, "rounds": 6000})
    other = taobao.build(tmp_path / "other", **SMALL, seed=1)
    assert one.info.digest == again.info.digest != other.info.digest
    for name in ("user", "candidates", "features", "slate", "clicks", "examined", "attraction"):
        np.testing.assert_array_equal(getattr(whole(longer), name)[:1500], getattr(whole(one), name))


# --- rankers -------------------------------------------------------------------------------------------------------


def test_plackett_luce_lists_come_with_their_exact_propensities() -> None:
    scores = np.array([[0.3, -1.0, 1.2, 0.0]])
    weights = np.exp(scores[0])
    exact = np.zeros((4, 4))
    for order in itertools.permutations(range(4)):
        left, p = weights.sum(), 1.0
        for item in order:
            p, left = p * weights[item] / left, left - weights[item]
        for k, item in enumerate(order):
            exact[item, k] += p
    n = 100_000
    slate = rankers.plackett_luce(np.random.default_rng(0), np.repeat(scores, n, axis=0))
    np.testing.assert_allclose(
        rankers.propensities(np.repeat(scores, 50, axis=0), slate[:50]),
        exact[slate[:50], np.arange(4)],
        rtol=1e-12,
    )
    for k in range(4):
        np.testing.assert_allclose(np.bincount(slate[:, k]) / n, exact[:, k], atol=5 * np.sqrt(0.25 / n))


def test_a_lower_temperature_is_nearer_to_the_ranking(tmp_path: Path) -> None:
    cold, warm = (
        whole(taobao.build(tmp_path / str(t), logging="plackett-luce", temperature=t, **SMALL)) for t in (0.2, 2.0)
    )
    top = [np.mean(r.slate[:, 0] == r.scores.argmax(axis=1)) for r in (cold, warm)]
    assert top[0] > 0.6 > 0.35 > top[1]
    assert cold.scores.std(axis=1).mean() == pytest.approx(10 * warm.scores.std(axis=1).mean(), rel=0.05)


@pytest.mark.parametrize("kind", ["lightgbm", "linear"])
def test_a_ranker_learns_from_clicks_and_its_scores_are_about_1_apart(shop: Shop, kind: str) -> None:
    _, days = taobao._earlier_days(shop, browsing.browsing(C, 0.4, "ubm", 0.8), 0)
    ranker = rankers.train(days, kind, 0)
    assert ("lambdarank" in ranker.name) == (kind == "lightgbm")
    visits = shop.visits(np.random.default_rng(9), 2000)
    scores = ranker.score(visits.features)
    assert 0.7 < np.sqrt(scores.var(axis=1).mean()) < 1.4
    best = np.take_along_axis(visits.appeal, scores.argmax(axis=1)[:, None], axis=1).mean()
    by_popularity = shop.popularity[visits.candidates].argmax(axis=1)
    popular = np.take_along_axis(visits.appeal, by_popularity[:, None], axis=1).mean()
    assert best > popular + 0.1 > visits.appeal.mean() + 0.1
    np.testing.assert_allclose(rankers.train(days, kind, 0).score(visits.features), scores, rtol=1e-9, atol=1e-9)


# --- encoder -------------------------------------------------------------------------------------------------------


def test_the_autoencoder_beats_principal_components_and_every_unit_of_its_code_varies(shop: Shop) -> None:
    features = shop.visits(np.random.default_rng(0), 1500).features
    made = encoder.train(features, "dae", 0)
    code = made.encode(features)
    assert code.shape == (1500, C, 10) and code.min() >= 0
    assert code.reshape(-1, 10).std(axis=0).min() > 0.02
    assert (code**2).sum(axis=2).mean() == pytest.approx(1, rel=0.1)
    assert made.facts["reconstruction_dae"] < made.facts["reconstruction_pca"]
    curve = made.facts["loss_train"]
    assert len(curve) == len(made.facts["loss_held_out"]) == encoder.EPOCHS and curve[-1] < curve[0]
    json.dumps(made.facts)
    np.testing.assert_allclose(encoder.train(features, "dae", 0).encode(features), code, rtol=1e-4, atol=1e-4)  # torch
    assert np.abs(encoder.train(features, "dae", 1).encode(features) - code).max() > 0.01


def test_units_that_stay_dead_are_an_error() -> None:
    constant = np.full((200, C, 56), 0.5)
    with pytest.raises(RunError, match="units of the auto-encoder's code say the same"):
        encoder.train(constant, "dae", 0)


def test_principal_components_are_orthogonal_and_none_is_the_features(shop: Shop) -> None:
    features = shop.visits(np.random.default_rng(0), 2000).features
    code = encoder.train(features, "pca", 0).encode(features).reshape(-1, 10)
    correlation = np.corrcoef(code, rowvar=False) - np.eye(10)
    assert np.abs(correlation).max() < 0.05
    assert encoder.train(features, "none", 0).encode(features) is features


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"items": 20}, "items = 20 must be at least 24"),
        ({"rounds": 0}, "rounds = 0 must be at least 1"),
        ({"temperature": 0.0}, "temperature = 0.0 must be above 0"),
        ({"seed": -1}, "seed = -1 must be at least 0"),
    ],
)
def test_options_that_fit_no_world_are_refused(tmp_path: Path, options: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        taobao.build(tmp_path / "log", **{**SMALL, **options})
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("options", "library", "said"),
    [
        ({**SMALL, "encoder": "dae"}, "torch", r"lersbench\[neural\]'; encoder = 'pca' does without"),
        (
            {**SMALL, "ranker": "lightgbm"},
            "lightgbm",
            r"lersbench\[ltr\]'; ranker = 'linear' does without",
        ),
    ],
)
def test_a_missing_library_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, library: str, said: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == library else found(name))
    with pytest.raises(ConfigError, match=said):
        taobao.build(tmp_path / "log", **options)
    assert not (tmp_path / "log").exists()


def test_auto_does_without_lightgbm_and_the_log_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lightgbm" else found(name))
    log = taobao.build(tmp_path / "log", **{**SMALL, "ranker": "auto"})
    assert log.info.provenance["ranker"] == "linear least squares within lists"


def test_neither_torch_nor_lightgbm_is_loaded_where_they_are_not_used() -> None:
    show = "print(sorted({'torch', 'lightgbm'} & set(sys.modules)))"
    code = f"import sys; from lersbench.datasets import taobao; {show}"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert out.stdout.strip() == "[]"


# --- proofs that take long -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_full_build_has_the_published_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.undo()
    log = taobao.build(tmp_path / "log", seed=seed, rounds=200_000)
    facts = log.info.provenance
    assert "lambdarank" in facts["ranker"] and facts["encoder"] == "dae"
    assert facts["% with a click at position 12"] == pytest.approx(6.2, abs=0.15)
    assert facts["mean position of the last click"] == pytest.approx(5.52, abs=0.05)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    code = (
        "import sys, psutil; from pathlib import Path; from lersbench.datasets import taobao\n"
        "peak = 0\n"
        "class Watched(taobao.Tally):\n"
        "    def records(self, chunk):\n"
        "        global peak; super().records(chunk); peak = max(peak, psutil.Process().memory_info().rss)\n"
        "taobao.Tally = Watched\n"
        "taobao.build(Path(sys.argv[1]), rounds=int(sys.argv[2]), encoder='pca', ranker='linear'); print(peak)"
    )

    def peak(rounds: int) -> int:
        command = [sys.executable, "-c", code, str(tmp_path / str(rounds)), str(rounds)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert peak(400_000) - peak(50_000) < 64 << 20
