"""The long form of tests/flow/test_parquet_files.py: 2,000 random files (PARQUET_FILES overrides), run by hand: tests/run soak."""
import os

import pytest

os.environ.setdefault("PARQUET_FILES", "2000")

from tests.flow.test_parquet_files import test_random_files_are_read_the_same  # noqa: E402,F401

pytestmark = pytest.mark.timeout(3600)
