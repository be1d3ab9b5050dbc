"""Windows: a spawned worker in a job object, which owns its process tree, limits it, and ends with the host.

Not tested on Windows itself. A job object denies neither files nor the network: level 1 at most. Structures
as in winnt.h, calls as in jobapi2.h (learn.microsoft.com/windows/win32/procthread/job-objects)."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import psutil

from certify.sandbox.host.pipes import Pipes, ThreadedPipes
from certify.sandbox.host.systems.base import WorkerEvents
from certify.sandbox.host.systems.spawned import Spawned, Ward

CREATE_SUSPENDED = 0x4
CREATE_NO_WINDOW = 0x08000000
# Classes and flags of SetInformationJobObject.
UI_RESTRICTIONS, EXTENDED_LIMITS = 4, 9
ACTIVE_PROCESS, JOB_MEMORY, DIE_ON_EXCEPTION, KILL_ON_CLOSE = 0x8, 0x200, 0x400, 0x2000
# Handles of others, clipboard (read, write), system parameters, display, atoms, desktop, leaving Windows.
ALL_OF_UI = 0xFF
_PROCESS_ALL_ACCESS = 0x1FFFFF

_DWORD, _POINTER, _LARGE = ctypes.c_uint32, ctypes.c_size_t, ctypes.c_int64


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("per_process_time", _LARGE),
        ("per_job_time", _LARGE),
        ("flags", _DWORD),
        ("minimum_working_set", _POINTER),
        ("maximum_working_set", _POINTER),
        ("active_processes", _DWORD),
        ("affinity", _POINTER),
        ("priority_class", _DWORD),
        ("scheduling_class", _DWORD),
    )


class Counters(ctypes.Structure):
    """IO_COUNTERS."""

    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("reads", "writes", "others", "read", "written", "other")
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("basic", BasicLimits),
        ("io", Counters),
        ("process_memory", _POINTER),
        ("job_memory", _POINTER),
        ("peak_process_memory", _POINTER),
        ("peak_job_memory", _POINTER),
    )


def limits_of(limits: dict[str, int]) -> ExtendedLimits:
    """The limits of a job: number of processes, committed bytes, and the kill of all processes on close."""
    job_limits = ExtendedLimits()
    job_limits.basic.flags = ACTIVE_PROCESS | JOB_MEMORY | DIE_ON_EXCEPTION | KILL_ON_CLOSE
    job_limits.basic.active_processes = limits["processes"]
    job_limits.job_memory = min(limits["memory"], ctypes.c_size_t(-1).value)
    return job_limits


class Job:
    """A job object. Raises OSError where Windows refuses."""

    def __init__(self, limits: dict[str, int]) -> None:
        self._kernel = _kernel()
        self._handle = self._kernel.CreateJobObjectW(None, None)
        if not self._handle:
            raise _refusal()
        self._set(EXTENDED_LIMITS, limits_of(limits))
        self._set(UI_RESTRICTIONS, _DWORD(ALL_OF_UI))

    def _set(self, kind: int, value: Any) -> None:
        size = ctypes.sizeof(value)
        if not self._kernel.SetInformationJobObject(self._handle, kind, ctypes.byref(value), size):
            raise _refusal()

    def take_in(self, pid: int) -> None:
        process = self._kernel.OpenProcess(_PROCESS_ALL_ACCESS, False, pid)
        if not process:
            raise _refusal()
        try:
            if not self._kernel.AssignProcessToJobObject(self._handle, process):
                raise _refusal()
        finally:
            self._kernel.CloseHandle(process)

    def end(self) -> None:
        """Kills every process in the job; may be called twice."""
        if self._handle:
            self._kernel.TerminateJobObject(self._handle, 1)
            self._kernel.CloseHandle(self._handle)
            self._handle = None


class Windows(Spawned):
    def __init__(self, scratch: Any, environment: dict[str, str], warm: bool = False) -> None:
        self.events = WorkerEvents()
        self._jobs: dict[int, Job] = {}
        super().__init__(scratch, environment, warm)

    def _how(self, ends: list[int]) -> dict[str, Any]:
        if sys.platform != "win32":
            raise OSError("only Windows starts workers this way")
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": ends})
        flags = CREATE_SUSPENDED | CREATE_NO_WINDOW
        return {"startupinfo": startup, "creationflags": flags, "close_fds": True}

    def _inherited(self, descriptor: int) -> int:
        if sys.platform != "win32":
            raise OSError("only Windows has handles")
        import msvcrt

        handle = msvcrt.get_osfhandle(descriptor)
        os.set_handle_inheritable(handle, True)
        return handle

    def _make_pipes(self, requests: int, outputs: dict[str, int]) -> Pipes:
        return ThreadedPipes(requests, outputs)

    def _shut_in(self, ward: Ward) -> str:
        """The process is suspended until it is in its job."""
        pid = ward.popen.pid
        try:
            if ward.spec.jail.job:
                job = Job(ward.spec.limits)
                self._jobs[pid] = job
                job.take_in(pid)
            psutil.Process(pid).resume()
        except (OSError, psutil.Error) as error:
            return f"the job object: {error}"
        return ""

    def _end_tree(self, ward: Ward) -> None:
        job = self._jobs.pop(ward.popen.pid, None)
        if job is not None:
            job.end()
        super()._end_tree(ward)

    def limits_kept_by(self) -> str:
        return "a job object for each worker, and a watchdog thread in the host"


def _kernel() -> Any:
    if sys.platform != "win32":
        raise OSError("only Windows has job objects")
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    handle, flag = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("CreateJobObjectW", handle, (handle, ctypes.c_wchar_p)),
        ("SetInformationJobObject", flag, (handle, ctypes.c_int, handle, _DWORD)),
        ("AssignProcessToJobObject", flag, (handle, handle)),
        ("TerminateJobObject", flag, (handle, ctypes.c_uint)),
        ("OpenProcess", handle, (_DWORD, flag, _DWORD)),
        ("CloseHandle", flag, (handle,)),
    ):
        call = getattr(kernel, name)
        call.restype, call.argtypes = result, arguments
    return kernel


def _refusal() -> OSError:
    if sys.platform != "win32":
        return OSError("refused")
    return ctypes.WinError(ctypes.get_last_error())
