"""`certify marks IMAGE...`: all mark layers of an image, as a table or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certify.errors import UserError
from certify.terminal.lines import log_line

if TYPE_CHECKING:
    from certify.cli.arguments import Commands

HELP_ORDER = 8
_SIGNS = {"present": "+", "absent": "-", "malformed": "!", "contradictory": "!", "cannot-carry": "?"}


def add_to(commands: Commands) -> None:
    marks = commands.add_parser("marks", help="the AI marks of any image: PNG, JPEG or WebP")
    marks.add_argument("images", nargs="+", metavar="IMAGE")
    marks.add_argument("--json", action="store_true", help="as JSON")
    marks.add_argument("--payload", default="", metavar="HEX", help="also look for this payload")
    marks.add_argument(
        "--method",
        default="",
        choices=("", "lumaQim", "dwtDctSvd", "dwtDct", "rivaGan"),
        help="the method of --payload",
    )
    marks.add_argument(
        "--trustmark", default="", metavar="FOLDER", help="folder with TrustMark weights, to read TrustMark"
    )
    marks.add_argument("--size", default="", metavar="WxH", help="original size of the images, if known")
    marks.add_argument(
        "--trust",
        default="",
        metavar="PEM",
        help="CA certificates whose signatures of content credentials count",
    )
    marks.add_argument(
        "--policy",
        default="",
        metavar="NAME or FILE",
        help="check the images against a policy; exit code 1 if one breaks it",
    )
    marks.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or 1 where an image breaks the named policy. Raises UserError for a file that cannot be
    read.
    """
    from certify.instruments.marks.pixels.payloads import PayloadError
    from certify.measure.marks.image_layers import Question, read_layers
    from certify.plan.policy import load_policy
    from certify.terminal.streams import say

    _check_payload(arguments)
    policy = load_policy(arguments.policy) if arguments.policy else None
    question = Question(
        payload=arguments.payload,
        method=arguments.method,
        trustmark=arguments.trustmark,
        size=_size(arguments.size),
        anchors=_anchors(arguments.trust) or (policy.anchors if policy else ""),
    )
    try:
        rows = read_layers(arguments.images, question, policy)
    except PayloadError as error:
        raise UserError(f"--payload: {error}.") from None
    if arguments.json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        say("\n\n".join(_table(row) for row in rows))
    return int(any(row.get("wrong") for row in rows))


def _check_payload(arguments: argparse.Namespace) -> None:
    if arguments.trustmark and (arguments.method or not arguments.payload):
        raise UserError(
            "--trustmark needs a payload to look for.", "Give it with --payload, without --method."
        )
    if arguments.method and not arguments.payload:
        raise UserError(
            f"--method {arguments.method} needs a payload to look for.", "Give it with --payload."
        )


def _size(text: str) -> tuple[int, int] | None:
    width, times, height = text.partition("x")
    if not text:
        return None
    if not (times and width.isdigit() and height.isdigit() and 0 < len(text) < 12):
        raise UserError(f'--size takes WIDTHxHEIGHT in pixels, for instance 512x512, not "{text[:40]}".')
    if not (8 <= int(width) <= 8192 and 8 <= int(height) <= 8192):
        raise UserError(f"--size {text}: each side must be 8 to 8192 pixels.")
    return int(width), int(height)


def _anchors(trust: str) -> str:
    if not trust:
        return ""
    try:
        text = Path(trust).read_text("ascii")
    except OSError as error:
        raise UserError(f"--trust {trust} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise UserError(f"--trust {trust} contains no certificates.", "Name a PEM file of CA certificates.")
    return text


def _table(row: Mapping[str, Any]) -> str:
    lines = [f"{log_line(row['image'])}  {row['width']} x {row['height']}"]
    for name, layer in row["layers"].items():
        summary = layer["value"] if layer["state"] == "present" else layer["reason"]
        lines.append(
            f"  {_SIGNS.get(layer['state'], '?')} {name:<12} {layer['state']:<18} {log_line(summary, 110)}"
        )
        if reading := layer["facts"].get("found"):
            lines.append(f"    {'':<12} {'':<18} {log_line(reading, 110)}")
        lines += [f"    {'':<12} {'warning':<18} {log_line(warning, 110)}" for warning in layer["warnings"]]
    lines += [f"  ! contradiction: {log_line(text, 200)}" for text in row["contradictions"]]
    lines += [f"  ! {log_line(text, 200)}" for text in row["warnings"]]
    if "policy" in row:
        lines += _policy_lines(row)
    return "\n".join(lines)


def _policy_lines(row: Mapping[str, Any]) -> list[str]:
    name = row["policy"].rpartition(" (")[0]
    lines = [f"  ! {name}: {log_line(text, 300)}" for text in row["wrong"]]
    lines += [f"  ? {name}: cannot be checked here: {log_line(text, 300)}" for text in row["open"]]
    return lines or [
        f"  + {name}: check passed (layers of this file only; `certify run` also tests robustness)"
    ]
