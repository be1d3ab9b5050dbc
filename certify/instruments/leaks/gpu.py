"""GPU memory of processes, reported by the NVIDIA driver (NVML), not by the candidate."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from .resources import tree


def gpu_bytes(pid: int) -> int | None:
    """Bytes that `pid` and its descendants hold on all GPUs together; None without a driver,
    or if the driver does not report them.
    """
    driver = _driver()
    if driver is None:
        return None
    wanted, held = set(tree(pid)), 0
    try:
        for index in range(driver.nvmlDeviceGetCount()):
            device = driver.nvmlDeviceGetHandleByIndex(index)
            for process in driver.nvmlDeviceGetComputeRunningProcesses(device):
                # In a container the driver may not report it.
                if process.pid in wanted and process.usedGpuMemory is None:
                    return None
                held += process.usedGpuMemory if process.pid in wanted else 0
    except driver.NVMLError:
        return None
    return held


@cache
def _driver() -> ModuleType | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml  # type: ignore[no-any-return]
