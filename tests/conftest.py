"""What every test shares."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The defects are plugins under judgement, whatever their files are called.
collect_ignore = ["defects"]

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """The suites' own mark, so that their modules can be looked into outside a run."""
    config.addinivalue_line("markers", "requirement(id): the requirement that a suite's test measures")
