"""One segment of a soak: what was measured of one worker without a break, and what follows from it.

Memory starts at zero in another worker, so segments never add up to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from certify.instruments.leaks.judge import (
    COUNTED,
    MEMORY_BUDGET,
    MEMORY_SLACK,
    LeakVerdict,
    Sample,
    judge_counts,
    judge_inside,
    judge_memory,
    worst,
)
from certify.measure.soak.attribution import Attribution
from certify.measure.soak.workload import Kind

HANDLES = tuple(resource for resource in COUNTED if resource not in ("mappings", "gpu"))
# More a call, in both phases and without fading, is no warm-up of an engine. `cuda` is what torch's allocator
# has given out on a GPU.
SUSPICIOUS = {"blocks": 0.9, "heap": 512.0, "cuda": 512.0, "tasks": 0.01}
# An engine takes up some 350 blocks in its first 500 calls with new words, and hardly any in 10,000 more
# (measured on examples/inkwash); so much in the second half of a run of any length is no suspicion.
USUAL = {"blocks": 400.0, "heap": 64 << 10, "cuda": 2 << 20, "tasks": 4.0}


@dataclass
class Segment:
    """`seconds` by the judge's clock and `calls` in one worker, from its start to its end.

    `aim` are the seconds that it was to last, `ended` why it did not, `whole` whether it came to its end.
    `measuring` are the seconds that its checkpoints took, `reference` what a stand-in that keeps nothing grew
    a call, `follows` by resource what each kind of call made it grow; `suspended` are seconds in which the
    machine slept, which are not among the others. `began` is in seconds since the epoch.
    """

    engine: str = "real"
    aim: float = 0.0
    began: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    calls: int = 0
    seconds: float = 0.0
    whole: bool = False
    ended: str = ""
    collector_off: bool = False
    measuring: float = 0.0
    look: int = 1
    reference: float = 0.0
    capped: LeakVerdict | None = None
    follows: dict[str, dict[Kind, float]] = field(default_factory=dict)
    errors: int = 0
    attribution: Attribution | None = None
    suspended: float = 0.0
    gpu_seen: bool = False

    @property
    def memory(self) -> LeakVerdict:
        if self.capped is not None and self.capped.resource == "memory":
            return self.capped
        return judge_memory(self.samples, MEMORY_BUDGET, MEMORY_SLACK, self.reference, self.look)

    @property
    def mappings(self) -> LeakVerdict:
        """Mapped regions, which are memory that may not have been touched."""
        return judge_counts(self.samples, "mappings", self.look)

    @property
    def gpu(self) -> LeakVerdict:
        """What the driver says that the tree holds on GPUs."""
        return judge_counts(self.samples, "gpu", self.look)

    @property
    def handles(self) -> list[LeakVerdict]:
        judged = [judge_counts(self.samples, resource, self.look) for resource in HANDLES]
        capped = self.capped
        return [capped if capped and verdict.resource == capped.resource else verdict for verdict in judged]

    @property
    def verdicts(self) -> list[LeakVerdict]:
        return [self.memory, self.mappings, self.gpu, *self.handles]

    @property
    def leaks(self) -> bool:
        return worst(self.verdicts) == "LEAK"

    @property
    def suspicions(self) -> list[LeakVerdict]:
        """What the worker counts of itself and that rises as a leak does; threads and files that pile up
        would explain it.
        """
        if worst(self.handles) == "LEAK":
            return []
        told = judge_inside(self.samples, SUSPICIOUS, self.look, USUAL)
        return [verdict for verdict in told if verdict.verdict == "LEAK"]

    @property
    def undecided(self) -> bool:
        return bool(self.suspicions) or any(verdict.verdict == "UNDECIDED" for verdict in self.verdicts)

    @property
    def uses_gpu(self) -> bool:
        """Whether the worker says that it holds something on a GPU."""
        return any(sample.cuda for sample in self.samples)

    @property
    def overhead(self) -> float:
        """The share of the time that measuring took."""
        return self.measuring / self.seconds if self.seconds else 0.0


def longest(segments: Sequence[Segment]) -> float:
    """Seconds of the longest segment."""
    return max((segment.seconds for segment in segments), default=0.0)
