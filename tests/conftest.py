"""The fixtures of flow, fault and soak tests."""
import pytest

from tests.flow.stack import new_stack, pytest_runtest_makereport, stack, stack3  # noqa: F401


@pytest.fixture
def say(capsys):
    """say(text): a line that is seen although the test passes."""
    def print_line(text):
        with capsys.disabled():
            print("\n    " + text, flush=True)
    return print_line
