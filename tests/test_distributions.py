"""Quantiles and probabilities against printed tables and closed forms."""

from __future__ import annotations

import math
import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest

from lersbench.distributions import chi2_quantile, gamma_within, t_beyond, t_quantile
from lersbench.errors import ConfigError


@pytest.mark.parametrize(
    ("level", "df", "value"),  # a printed table of Student's t
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 9, 2.262), (0.99, 30, 2.750), (0.95, 120, 1.980), (0.90, 5, 2.015)],
)
def test_t_quantiles_are_those_of_the_table(level: float, df: int, value: float) -> None:
    assert t_quantile(level, df) == pytest.approx(value, abs=6e-4)
    assert t_beyond(t_quantile(level, df), df) == pytest.approx(1 - level, abs=1e-12)


def test_a_million_degrees_of_freedom_are_nearly_normal_and_infinitely_many_are() -> None:
    normal = NormalDist().inv_cdf(0.975)
    assert normal < t_quantile(0.95, 1_000_000) < normal + 3e-6
    assert t_quantile(0.95, math.inf) == pytest.approx(normal, abs=1e-12)
    assert t_beyond(2.0, math.inf) == pytest.approx(2 * NormalDist().cdf(-2), abs=1e-12)


def test_both_tails_of_t_in_closed_form_far_out_and_in_arrays() -> None:
    """Two degrees of freedom: P(|T| > t) = 1 - t / sqrt(2 + t^2), which is 1 / t^2 far out."""
    t = np.array([-3.0, 0.0, 0.5, 3.0, np.nan])
    assert t_beyond(t, 2) == pytest.approx(1 - np.abs(t) / np.sqrt(2 + t**2), abs=1e-14, nan_ok=True)
    assert t_beyond(1e9, 2) == pytest.approx(1e-18, rel=1e-6)
    between = t_beyond(2.0, np.array([4.0, 4.5, 5.0]))
    assert between[0] > between[1] > between[2]


@pytest.mark.parametrize("x", [0.01, 0.5, 2.0, 5.0, 40.0])
def test_the_gamma_distribution_of_whole_and_half_shapes(x: float) -> None:
    assert gamma_within(1.0, x) == pytest.approx(1 - math.exp(-x), abs=1e-14)
    assert gamma_within(3.0, x) == pytest.approx(1 - math.exp(-x) * (1 + x + x * x / 2), abs=1e-14)
    assert gamma_within(0.5, x) == pytest.approx(math.erf(math.sqrt(x)), abs=1e-14)
    assert (gamma_within(x, 0.0), gamma_within(x, math.inf)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("chance", "df", "value"),  # a printed table of chi-squared
    [(0.95, 1, 3.841), (0.025, 10, 3.247), (0.975, 10, 20.483), (0.99, 2, 9.210), (0.005, 30, 13.787), (0.5, 4, 3.357)],
)
def test_chi_squared_quantiles_are_those_of_the_table(chance: float, df: int, value: float) -> None:
    assert chi2_quantile(chance, df) == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize("df", [0.3, 1.7, 33.3, 1234.5, 1e5])
@pytest.mark.parametrize("chance", [0.001, 0.025, 0.5, 0.975, 0.9999])
def test_a_chi_squared_quantile_has_its_chance_below(chance: float, df: float) -> None:
    assert gamma_within(df / 2, chi2_quantile(chance, df) / 2) == pytest.approx(chance, rel=1e-9)


@pytest.mark.parametrize(("chance", "df"), [(0.0, 2.0), (1.0, 2.0), (0.5, 0.0), (0.5, math.nan), (math.nan, 1.0)])
def test_quantiles_that_do_not_exist_are_errors(chance: float, df: float) -> None:
    with pytest.raises(ConfigError, match="chi-squared"):
        chi2_quantile(chance, df)


def test_scipy_is_not_loaded_before_it_is_asked() -> None:
    code = (
        "import sys, lersbench, lersbench.cli.main, lersbench.results.ranked, lersbench.distributions as d;"
        "assert 'scipy' not in sys.modules; d.t_quantile(0.95, 3); assert 'scipy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
