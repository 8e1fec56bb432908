"""The long form of tests/fault/test_exactly_once.py, test_limit.py, test_leases.py, test_parquet.py and test_rollup.py: 500 disturbances
(SLUICE_DISTURBANCES overrides), run by hand: tests/run soak."""
import os

import pytest

os.environ.setdefault("SLUICE_DISTURBANCES", "500")

from tests.fault.test_exactly_once import (  # noqa: E402,F401
    test_a_stateful_stage_survives_disturbances, test_validate_survives_disturbances)
from tests.fault.test_leases import test_a_tenants_budget_holds_under_disturbances  # noqa: E402,F401
from tests.fault.test_limit import test_limit_survives_disturbances  # noqa: E402,F401
from tests.fault.test_parquet import test_every_row_once_under_disturbances  # noqa: E402,F401
from tests.fault.test_rollup import test_rows_survive_disturbances  # noqa: E402,F401

pytestmark = pytest.mark.timeout(6 * 3600)
