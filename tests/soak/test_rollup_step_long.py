"""The long form of tests/flow/test_rollup_step.py: 2,000 logs (ROLLUP_LOGS overrides), run by hand: tests/run soak."""
import os

import pytest

os.environ.setdefault("ROLLUP_LOGS", "2000")

from tests.flow.test_rollup_step import (  # noqa: E402,F401
    test_crashes_and_resets_of_the_group_do_not_show, test_generated_logs_give_the_oracles_hours,
    test_generated_logs_give_the_oracles_rows, test_wherever_the_run_is_cut_off_it_goes_on_the_same)

pytestmark = pytest.mark.timeout(6 * 3600)
