"""The executable models keep their invariants, and lose them as soon as one of the rules is left out."""
import pytest

from tests.model import bisection, leases, limit_model

UNBROKEN, ENOUGH = 6, 16                                       # runs; a seed is the same run everywhere


def test_leases_hold(say):
    wrong, sums = [], [0, 0, 0, 0]
    for seed in range(UNBROKEN):
        errors, counts = limit_model.run(seed)
        wrong += [f"seed {seed}: {errors[0]}"] if errors else []
        sums = [a + b for a, b in zip(sums, counts)]
    say(f"leases: {UNBROKEN} runs; steps, commits, fenced or aborted, rebalances: {sums}")
    assert not wrong


@pytest.mark.parametrize("rule", leases.BREAKS)
def test_leases_need_every_rule(rule, monkeypatch):
    monkeypatch.setattr(leases, "BREAK", rule)
    assert any(limit_model.run(seed)[0] for seed in range(ENOUGH)), f"nothing goes wrong although {leases.BREAKS[rule]}"


@pytest.mark.parametrize("n_points, least", [(2, 2), (3, 2), (4, 3)])
def test_no_scheme_finds_n_culprits_with_n_log2_and_one_requests(n_points, least):
    """Which is why workers/amp/bisect.c has a spare beyond n * log2."""
    assert bisection.least_excess(n_points) == least
