"""One segment of a soak: the samples of one worker without a break, and the verdicts.

Another worker starts with fresh memory, so segments cannot be combined.
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
# Growth per call above these limits, in both phases and without decline, is not a warm-up. `cuda`: bytes that
# torch has allocated on a GPU.
SUSPICIOUS = {"blocks": 0.9, "heap": 512.0, "cuda": 512.0, "tasks": 0.01}
# An engine allocates about 350 blocks in its first 500 calls with new words, and hardly any in 10,000 more
# (measured on examples/inkwash). This growth in the second half of a run is not suspicious.
USUAL = {"blocks": 400.0, "heap": 64 << 10, "cuda": 2 << 20, "tasks": 4.0}


@dataclass
class Segment:
    """`seconds` by the host's clock and `calls` in one worker, from its start to its end.

    `aim` is the planned length in seconds, `ended` why the segment was shorter, `whole` whether it is
    complete. `measuring` is the time of its checkpoints in seconds, `reference` the growth per call of a
    stand-in without a leak, `follows` by resource the growth per kind of call. `suspended` is the time in
    seconds for which the machine slept, which `seconds` does not include. `began` is in seconds since the
    epoch."""

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
        """Mapped regions, whose memory may be unused."""
        return judge_counts(self.samples, "mappings", self.look)

    @property
    def gpu(self) -> LeakVerdict:
        """GPU memory of the process tree, by the driver."""
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
        """The worker's own counts that grow like a leak; empty if leaking threads or files explain them."""
        if worst(self.handles) == "LEAK":
            return []
        verdicts = judge_inside(self.samples, SUSPICIOUS, self.look, USUAL)
        return [verdict for verdict in verdicts if verdict.verdict == "LEAK"]

    @property
    def undecided(self) -> bool:
        return bool(self.suspicions) or any(verdict.verdict == "UNDECIDED" for verdict in self.verdicts)

    @property
    def uses_gpu(self) -> bool:
        """Whether the worker states that it uses GPU memory."""
        return any(sample.cuda for sample in self.samples)

    @property
    def overhead(self) -> float:
        """The share of the time that the checkpoints took."""
        return self.measuring / self.seconds if self.seconds else 0.0


def longest(segments: Sequence[Segment]) -> float:
    """Seconds of the longest segment."""
    return max((segment.seconds for segment in segments), default=0.0)
