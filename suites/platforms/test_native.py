"""On which systems the plugin really ran."""

from __future__ import annotations

from collections.abc import Callable

from certify.candidate.candidate import Candidate
from certify.measure.checks import NotEvidenced, requirement
from certify.plan.machine import this_system
from certify.sandbox.host.ledger import Ledger


@requirement("platform.native")
def test_every_declared_system_was_run_natively(
    candidate: Candidate, ledger: Ledger, claim: Callable[[str], None]
) -> None:
    here = this_system()
    assert here in candidate.manifest.platforms.os, (
        f"The run was on {here}, which the manifest does not declare."
    )
    if not ledger.generations:
        raise NotEvidenced("The plugin returned no image in this run.")
    ran = {here}
    missing = [system for system in candidate.manifest.platforms.os if system not in ran]
    tested = f"native run on {', '.join(sorted(ran)) or 'none'}"
    claim(f"platforms: {tested}; not run natively: {', '.join(missing) or 'none'}")
    if missing:
        raise NotEvidenced(f"This run was on {here}; not run natively: {', '.join(missing)}.")
