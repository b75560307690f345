"""Quantiles and probabilities against printed tables and closed forms."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from lersbench.distributions import MANY, chi2_quantile, gamma_within, t_quantile, t_within
from lersbench.errors import ConfigError


@pytest.mark.parametrize(
    ("level", "df", "value"),  # a printed table of Student's t
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 9, 2.262), (0.99, 30, 2.750), (0.95, 120, 1.980), (0.90, 5, 2.015)],
)
def test_t_quantiles_are_those_of_the_table(level: float, df: int, value: float) -> None:
    assert t_quantile(level, df) == pytest.approx(value, abs=6e-4)
    assert t_within(t_quantile(level, df), df) == pytest.approx(level, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("df", [MANY + 1, 20_000])
def test_the_expansion_for_many_degrees_of_freedom_meets_the_exact_sum(level: float, df: int) -> None:
    assert t_within(t_quantile(level, df), df) == pytest.approx(level, abs=1e-11)


def test_a_million_degrees_of_freedom_are_nearly_normal() -> None:
    normal = NormalDist().inv_cdf(0.975)
    assert normal < t_quantile(0.95, 1_000_000) < normal + 3e-6


@pytest.mark.parametrize("x", [0.01, 0.5, 2.0, 5.0, 40.0])
def test_the_gamma_distribution_of_whole_and_half_shapes(x: float) -> None:
    assert gamma_within(1.0, x) == pytest.approx(1 - math.exp(-x), abs=1e-14)
    assert gamma_within(3.0, x) == pytest.approx(1 - math.exp(-x) * (1 + x + x * x / 2), abs=1e-14)
    assert gamma_within(0.5, x) == pytest.approx(math.erf(math.sqrt(x)), abs=1e-14)


@pytest.mark.parametrize("shape", [1e-3, 0.7, 3.3, 199.5, 1e6])
def test_the_gamma_distribution_is_one_function_on_both_sides_of_its_two_formulas(shape: float) -> None:
    """P(a, x) - P(a + 1, x) = x^a e^-x / gamma(a + 1) (Abramowitz and Stegun 6.5.21), whatever formula each takes."""
    for x in (0.9 * shape, shape + 0.5, shape + 1.5, 1.1 * shape + 3):
        step = math.exp(shape * math.log(x) - x - math.lgamma(shape + 1))
        assert gamma_within(shape, x) - gamma_within(shape + 1, x) == pytest.approx(step, rel=1e-8, abs=1e-12)
    assert (gamma_within(shape, 0.0), gamma_within(shape, math.inf)) == (0.0, 1.0)


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
