"""The judge's process: the run inside the clean Python, how it ends, and the exit code."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import signal
import sys
import traceback

import psutil

from certify.errors import UserError
from certify.host.faults import HostError
from certify.progress import choose_progress
from certify.run.request import RunRequest
from certify.run.run import execute
from certify.streams import ready, report_mistake, say
from certify.summary import last_words
from certify.verdict import EXIT_ERROR, EXIT_INCOMPLETE

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
# From Linux's prctl.h.
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def main_restarted(text: str) -> int:
    """The run inside the clean Python; gives the exit code."""
    _end_with_parent()
    ready()
    try:
        return _run_and_report(text)
    except Exception:
        say("certify: a fault of the harness, please report it:", sys.stderr)
        say(traceback.format_exc(), sys.stderr)
        return EXIT_ERROR
    finally:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _run_and_report(text: str) -> int:
    try:
        request = RunRequest.from_dict(json.loads(text))
        results, out = execute(request, choose_progress())
        say(last_words(results, out))
        return results.verdict.exit_code
    except UserError as error:
        return report_mistake(error)
    except HostError as error:
        say(f"certify: the harness could not work here: {error}\nSee `certify doctor`.", sys.stderr)
        return EXIT_ERROR
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            raise
        where = error.filename or "the run's folder"
        say(f"certify: {where} could not be written: {error.strerror}.", sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        say("certify: interrupted before anything was measured.", sys.stderr)
        return EXIT_INCOMPLETE


def _end_with_parent() -> None:
    """SIGTERM ends a run like Ctrl-C, and comes by itself when the command that started this is killed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        # What outlives a killed supervisor comes to us, and goes with us.
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
