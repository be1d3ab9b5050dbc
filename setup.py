"""Which packages a wheel holds: every folder of code, `suites` and `reports` as parts of certify.

A list in pyproject.toml would have to be edited for each new folder, and an installation would lack what was
forgotten while a checkout has it.
"""

from setuptools import find_packages, setup

OURS = find_packages(include=["certify", "certify.*", "reference_engine", "reference_engine.*"])
MOVED = find_packages(include=["suites", "suites.*", "reports", "reports.*"])

setup(
    packages=[*OURS, *(f"certify.{name}" for name in MOVED)],
    package_dir={"certify.suites": "suites", "certify.reports": "reports"},
)
