"""The fixtures of flow, fault and soak tests."""
from tests.flow.stack import new_stack, pytest_runtest_makereport, stack, stack3  # noqa: F401
