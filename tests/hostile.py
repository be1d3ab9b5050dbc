"""What hostile plugins get done, with the jail and without: `python -m tests.hostile` prints the table.

Each act runs through the few requirements that can see it. Its finding is compared with what stands beside
it, and its effect is looked at from outside, by decoys.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from certify.plan.profiles import Profile
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.sandbox.host import host as launch
from certify.sandbox.host.faults import HostError
from certify.sandbox.host.host import Host
from certify.submission.submission import digest_of
from certify.terminal.progress import Silent
from certify.terms.outcomes import Outcome
from tests.decoys import decoys
from tests.defects.catalogue import Defect, hostile_acts

WATCHED = frozenset(
    {
        "sdk.entry-loads",
        "sdk.steps-range",
        "sdk.same-seed",
        "sdk.other-seed",
        "sdk.stays-alive",
        "sdk.answers-in-time",
        "sdk.answers-wellformed",
        "security.digest-unchanged",
        "security.network",
        "security.writes",
        "security.stays-inside",
        "security.private-files",
        "security.programs",
    }
)
DEADLINE = 8.0
PROFILE = Profile(
    "quick", isolation="L1", soak_seconds=1, soak_calls=1, load_deadline=60, call_deadline=DEADLINE
)
# For the acts that aim at them: small enough that nothing of the machine's own runs short.
LIMITS = {"memory": 768 << 20, "disk": 64 << 20}
AIMED_AT = {"hoards_memory": "memory", "fills_the_disk": "disk"}
# Without walls it would reach processes that are not ours.
ONLY_BEHIND_WALLS = {"signals_every_process"}
GOT_THROUGH = "GOT THROUGH"


@dataclass(frozen=True)
class Trial:
    """What came of one act: findings (id -> outcome, where not passed) and effects, both in words."""

    name: str
    expected: dict[str, str]
    found: dict[str, str]
    effects: tuple[str, ...]

    tried: bool = True

    @property
    def came_to(self) -> str:
        if not self.tried:
            return "not tried"
        if self.effects:
            return f"{GOT_THROUGH}: " + ", ".join(self.effects)
        unseen = set(self.expected) - set(self.found)
        if any(name.startswith("sdk.") for name in unseen):
            return f"{GOT_THROUGH}: it passed for a sound plugin"
        told = [name for name, outcome in self.found.items() if outcome in ("failed", "warned")]
        if told:
            return "caught: " + ", ".join(told)
        return "no effect, but not seen" if unseen else "harmless"

    @property
    def got_through(self) -> bool:
        return self.came_to.startswith(GOT_THROUGH)


def attempt(act: Defect, host: Host, walls: bool) -> Trial:
    with tempfile.TemporaryDirectory(prefix="hostile-") as name, decoys() as there:
        folder, out = act.build(Path(name) / "plugin"), Path(name) / "out"
        there.write(folder, {"walls": walls, "deadline": DEADLINE, **LIMITS})
        before = digest_of(folder)
        limit = AIMED_AT.get(act.name)
        host.limits = {**launch.LIMITS, **({limit: LIMITS[limit]} if limit else {})}
        order = RunRequest(plugin=str(folder), out=str(out))
        results, _ = execute(order, Silent(), host=host, profile=PROFILE, selected=WATCHED)
        effects = there.effects(results.to_json())
        if digest_of(folder) != before:
            effects.append("what was handed in was changed")
    if results.verdict.name == "ERROR":
        effects.append("the verdict became ERROR")
    found = {
        row.id: row.outcome.value
        for row in results.requirements
        if row.id in WATCHED and row.outcome is not Outcome.PASSED
    }
    expected = {identifier: outcome.value for identifier, outcome in act.expected.items()}
    return Trial(act.name, expected, found, tuple(effects))


class Arena:
    """One host for all acts, as long as none of them has taken it down."""

    def __init__(self, walls: bool) -> None:
        self._walls = walls
        self._host: Host | None = None
        self._stack = ExitStack()

    def attempt(self, act: Defect) -> Trial:
        if not self._walls and act.name in ONLY_BEHIND_WALLS:
            return _left_out(act)
        if self._host is None or self._host.lost:
            self._stack.close()
            self._host = self._stack.enter_context(running_host(self._walls))
        try:
            return attempt(act, self._host, self._walls)
        except HostError as error:
            return Trial(act.name, {}, {}, (f"the harness was lost ({error})",))

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def attempt_all(acts: Sequence[Defect], walls: bool) -> Iterator[Trial]:
    with Arena(walls) as arena:
        for act in acts:
            trial = arena.attempt(act)
            yield trial
            mode = "with" if walls else "without"
            print(f"{mode:<7}  {trial.name:<34} {trial.came_to}", file=sys.stderr, flush=True)


def _left_out(act: Defect) -> Trial:
    return Trial(act.name, {}, {}, (), tried=False)


@contextmanager
def running_host(walls: bool) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="hostile-host-") as scratch:
        # Its folder is on the way to a worker's.
        Path(scratch).chmod(0o755)
        with Host(Path(scratch), walls=walls) as host:
            yield host


def table(behind: Sequence[Trial], bare: Sequence[Trial]) -> str:
    lines = [f"{'act':<34} {'with the jail':<44} without"]
    for one, other in zip(behind, bare, strict=True):
        lines.append(f"{one.name:<34} {one.came_to:<44} {other.came_to}")
    counts = [sum(trial.got_through for trial in trials) for trials in (behind, bare)]
    lines.append(f"{len(behind)} acts; got through: {counts[0]} with the jail, {counts[1]} without")
    wrong = [f"{one.name}: {one.found}, not {one.expected}" for one in map(_unexpected, behind) if one]
    return "\n".join([*lines, *wrong])


def _unexpected(trial: Trial) -> Trial | None:
    """A trial behind walls that did not come to what stands beside its act."""
    return trial if trial.got_through or trial.found != trial.expected else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="acts to try (default: all)")
    parser.add_argument("--walled", action="store_true", help="behind walls alone")
    asked = parser.parse_args()
    acts = [act for act in hostile_acts() if not asked.names or act.name in asked.names]
    behind = list(attempt_all(acts, walls=True))
    bare = [_left_out(act) for act in acts] if asked.walled else list(attempt_all(acts, walls=False))
    print(table(behind, bare))
    return 1 if any(map(_unexpected, behind)) else 0


if __name__ == "__main__":
    sys.exit(main())
