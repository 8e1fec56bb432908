"""The store is away for a minute under load: then the lag drains, and nothing is lost. (Longer: tests/soak.)"""
from tests.fault.amp_outage import outage


def test_a_minute_without_the_store(stack, tmp_path, say):
    outage(stack, tmp_path, say, seconds=60, rate=10_000)
