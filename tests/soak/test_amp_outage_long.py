"""The store is away for a quarter of an hour under load."""
import pytest

from tests.fault.amp_outage import outage

pytestmark = pytest.mark.timeout(3600)


def test_a_quarter_of_an_hour_without_the_store(stack, tmp_path, say):
    outage(stack, tmp_path, say, seconds=900, rate=10_000)
