"""Receivers that end with the test."""

import pytest

from tests.receiver.client import Receiver
from tests.receiver.kit import NOW


@pytest.fixture
def start():
    running = []

    def begin(**options):
        options["rules"] = {"now_ms": NOW, **options.get("rules", {})}
        running.append(Receiver(**options))
        return running[-1]

    yield begin
    for receiver in running:
        receiver.stop()
