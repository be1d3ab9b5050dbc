"""Where the time of `certify run` goes: the harness's own share, the plugin with its engine, and waiting.

    python -m benchmarks.run [PLUGIN] [--profile quick]

CPU seconds are those of each process, by its role, as the system counts them. The peer is what no run can do
without: importing the libraries of the engine, measured in the same run. Linux alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil

from certify.plan.catalogue import load_catalogue

ROOT = Path(__file__).parent.parent
LIBRARIES = "import torch, diffusers, transformers, peft; from diffusers import StableDiffusionPipeline"
# What a command line holds -> who that is; the first that fits.
ROLES = (
    ("_plugin_host", "plugin and engine"),
    ("certify.sandbox.host.supervisor", "supervisor"),
    ("certify.run.judge", "judge"),
    ("certify", "command"),
)
OWN = ("supervisor", "judge", "command")
TICK = 0.1  # seconds between two looks


def role_of(words: list[str]) -> str:
    text = " ".join(words)
    return next((role for sign, role in ROLES if sign in text), "plugin and engine")


def watched(command: list[str]) -> tuple[float, dict[str, float]]:
    """Wall seconds of a command, and CPU seconds by role of all processes that it started.

    A process that lives for less than a tick is counted with the one that waits for it.
    """
    began = time.monotonic()
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        top = psutil.Process(run.pid)
        while run.poll() is None:
            try:
                family = [top, *top.children(recursive=True)]
            except psutil.NoSuchProcess:
                break
            for process in family:
                try:
                    times = process.cpu_times()
                    key = process.pid, process.create_time()
                    role = seen[key][0] if key in seen else role_of(process.cmdline())
                    seen[key] = role, times.user + times.system
                except psutil.Error:
                    continue
            time.sleep(TICK)
    seconds: dict[str, float] = defaultdict(float)
    for role, used in seen.values():
        seconds[role] += used
    return time.monotonic() - began, seconds


def phases(events: list[dict[str, Any]]) -> dict[str, float]:
    """Wall seconds from the journal."""
    begin = events[0]["time"]
    moments = {event.get("id", event["event"]): event["time"] for event in events}
    rows = [event for event in events if event["event"] == "requirement"]
    static = {row.id for row in load_catalogue().requirements if row.when == "static"}
    asking = next(e["time"] for e in events if e.get("id") == "sdk.entry-loads")
    return {
        "static requirements": sum(row["seconds"] for row in rows if row["id"] in static),
        "until the plugin is opened": asking - begin,
        "from there to the end": moments["end"] - asking,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plugin", nargs="?", default=str(ROOT / "examples" / "inkwash"))
    parser.add_argument("--profile", default="quick")
    arguments = parser.parse_args()
    _, peer = watched([sys.executable, "-c", LIBRARIES])
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "run"
        words = ["run", arguments.plugin, "--profile", arguments.profile, "--out", str(out)]
        wall, seconds = watched([sys.executable, "-m", "certify", *words])
        events = [json.loads(line) for line in (out / "journal.ndjson").read_text("utf-8").splitlines()]
        results = json.loads((out / "results.json").read_text("utf-8"))
    total, own = sum(seconds.values()), sum(seconds[role] for role in OWN)
    cores = psutil.cpu_count() or 1
    print(f"{results['verdict']['name']} at profile {arguments.profile} in {wall:.1f} s on {cores} cores")
    for role, used in sorted(seconds.items(), key=lambda row: -row[1]):
        print(f"  {role:<20} {used:6.1f} CPU-s  {used / total:5.0%}")
    print(f"  own share            {own:6.1f} CPU-s  {own / total:5.0%}")
    print(f"  waiting              {cores * wall - total:6.1f} core-s of {cores * wall:.1f}")
    for phase, length in phases(events).items():
        print(f"  {phase:<27} {length:6.1f} s")
    for claim in results["claims"]:
        print(f"  {claim[:150]}")
    libraries = sum(peer.values())
    print(
        f"all CPU seconds / importing the engine's libraries: {total / libraries:.1f} ({libraries:.1f} CPU-s)"
    )


if __name__ == "__main__":
    main()
