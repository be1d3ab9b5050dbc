"""The commands: what they print, and that a user's mistake ends in a sentence and exit code 2."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from certify.cli.main import main
from certify.errors import UserError
from certify.record import Outcome
from certify.requirements import load_catalogue
from certify.run.request import RunRequest
from tests.certify.made_up import whole_plan, written
from tests.defects.catalogue import SOUND, sound

Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]


def mistake(capfd: Captured, *words: object) -> str:
    """What is told of a user's mistake, which ends with code 2 and never with a traceback."""
    code = main([str(word) for word in words])
    told = capfd.readouterr()
    assert code == 2, told
    assert "Traceback" not in told.err + told.out
    assert told.err.startswith("certify: ")
    return told.err


def test_list_shows_every_requirement(capsys: Captured) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    rows = load_catalogue().requirements
    assert all(f"  {row.id} " in out for row in rows)
    assert f"{len(rows)} requirements." in out
    assert all(f"{suite.name}: {suite.summary}\n" in out for suite in load_catalogue().suites)


def test_list_as_json_holds_the_whole_catalogue(capsys: Captured) -> None:
    assert main(["list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == [row.model_dump(mode="json") for row in load_catalogue().requirements]


def test_explain_tells_demand_source_reason_and_remedy(capsys: Captured) -> None:
    assert main(["explain", "leak.memory"]) == 0
    out = capsys.readouterr().out
    row = load_catalogue().find("leak.memory")
    for text in (row.title, row.sentence, row.why, row.fix, "F1, D5", "every candidate"):
        assert text in out
    assert f"\nlifecycle  {row.lifecycle}\neffort     {row.effort} to fix\n" in out


def test_explain_names_the_traits_that_a_requirement_is_for(capsys: Captured) -> None:
    main(["explain", "licence.lora-terms"])
    assert "applies to uses-lora" in capsys.readouterr().out


def test_explain_of_a_typo_names_the_nearest(capfd: Captured) -> None:
    assert 'Did you mean "leak.memory"?' in mistake(capfd, "explain", "leak.memroy")


def test_plan_of_a_good_plugin_says_what_would_run(capsys: Captured) -> None:
    assert main(["plan", str(SOUND)]) == 0
    out = capsys.readouterr().out
    total = len(load_catalogue().requirements)
    assert out.startswith("sound 1.0.0 (native), profile quick\n")
    assert f"of {total} requirements would run" in out
    assert "leak.full-day" in out and "(counts from certified)" in out


def test_plan_as_json_has_a_row_a_requirement(capsys: Captured) -> None:
    assert main(["plan", str(SOUND), "--json", "--suite", "security", "--requirement", "sdk.same-seed"]) == 0
    told = json.loads(capsys.readouterr().out)
    actions = {row["id"]: row["action"] for row in told["requirements"]}
    assert set(actions) == {row.id for row in load_catalogue().requirements}
    assert actions["security.weights"] == "run"
    assert actions["lang.declared"] == "not-evidenced"
    assert told["planned"] == sum(action == "run" for action in actions.values())


def test_plan_executes_nothing_of_the_plugin(tmp_path: Path, capsys: Captured) -> None:
    plugin = sound().build(tmp_path / "plugin")
    witness = tmp_path / "witness"
    code = f"open({str(witness)!r}, 'w').close()\n"
    for name in ("sound/__init__.py", "sound/plugin.py", "conftest.py", "sitecustomize.py", "setup.py"):
        (plugin / name).write_text(code, "utf-8")
    assert main(["plan", str(plugin)]) == 0
    assert not witness.exists()


def test_a_missing_plugin_is_told(tmp_path: Path, capfd: Captured) -> None:
    assert "does not exist" in mistake(capfd, "run", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_told_with_what_to_do(tmp_path: Path, capfd: Captured) -> None:
    (tmp_path / "empty").mkdir()
    told = mistake(capfd, "run", tmp_path / "empty", "--out", tmp_path / "out")
    assert "plugin.toml" in told or "no files" in told


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("schema = 1", "schema = = 1", "plugin.toml:2"),
        ("languages = ", "langauges = ", 'Did you mean "languages"?'),
        ('name = "sound"', 'name = "Not A Name"', "plugin.toml:5"),
    ],
)
def test_mistakes_in_the_manifest_are_told_with_their_line(
    tmp_path: Path, capfd: Captured, old: str, new: str, sentence: str
) -> None:
    plugin = sound().build(tmp_path / "plugin")
    text = (plugin / "plugin.toml").read_text("utf-8")
    (plugin / "plugin.toml").write_text(text.replace(old, new, 1), "utf-8")
    for command in (["plan", plugin], ["run", plugin, "--out", tmp_path / "out"]):
        assert sentence in mistake(capfd, *command)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--suite", "securty"], 'Did you mean "security"?'),
        (["--suite", "zzz"], "Known suites: "),
        (["--requirement", "sdk.same-sed"], 'Did you mean "sdk.same-seed"?'),
        (["--profile", "qick"], 'Did you mean "quick"?'),
        (["--model", "v1.5"], 'TYPE=FOLDER, not "v1.5"'),
        (["--model", "v9.9=/tmp"], "Known model types: v1.4, v1.5, v2.0."),
        (["--model", "v1.5=/nowhere/at/all"], "/nowhere/at/all is not a folder"),
        (["--seed", "five"], '18446744073709551616), not "five"'),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**64)], "below 2**64 (18446744073709551616)"),
        (["--seed", "1" * 5000], 'not "' + "1" * 40 + '..."'),
        (["--seed", "٣"], "--seed"),
        (["--out", str(SOUND / "run")], "lies inside the plugin"),
        (["--out", str(SOUND)], "lies inside the plugin"),
        (["--deadline", "-1"], "above 0"),
        (["--deadline", "nan"], "not nan"),
        (["--deadline", "inf"], "not inf"),
        (["--deadline", "soon"], "--deadline"),
        (["--device", "gpu"], "cuda"),
        (["--sede", "5"], 'Did you mean "--seed"?'),
    ],
)
def test_a_wrong_option_of_run_is_told_before_anything_starts(
    capfd: Captured, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.setattr("certify.run.restart.run_cleanly", lambda order: pytest.fail("it started"))
    assert sentence in mistake(capfd, "run", str(SOUND), *words)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """The requests of the runs that a command would have started; each ends with 0."""
    taken: list[RunRequest] = []

    def take(request: RunRequest, kept: bool = True) -> int:
        taken.append(request)
        return 0

    monkeypatch.setattr("certify.run.restart.run_cleanly", take)
    return taken


def test_the_largest_seed_is_taken(requests: list[RunRequest]) -> None:
    assert main(["run", str(SOUND), "--seed", str(2**64 - 1)]) == 0
    assert [request.seed for request in requests] == [str(2**64 - 1)]


@pytest.mark.parametrize(("gpus", "code"), [([], 2), (["a GPU"], 0)])
def test_cuda_without_a_gpu_is_a_mistake_of_the_user_and_no_rejection(
    monkeypatch: pytest.MonkeyPatch,
    capfd: Captured,
    requests: list[RunRequest],
    gpus: list[str],
    code: int,
) -> None:
    monkeypatch.setattr("certify.machine.gpu_names", lambda: gpus)
    assert main(["run", str(SOUND), "--device", "cuda"]) == code
    assert len(requests) == (code == 0)
    assert ("--device cpu" in capfd.readouterr().err) == (code == 2)


def test_a_folder_that_holds_something_is_not_written_into(
    tmp_path: Path, capfd: Captured, requests: list[RunRequest]
) -> None:
    (tmp_path / "mine.txt").touch()
    assert "is not empty" in mistake(capfd, "run", SOUND, "--out", tmp_path)
    assert not requests


def test_a_folder_that_holds_a_run_is_told_as_such(tmp_path: Path, capfd: Captured) -> None:
    (tmp_path / "journal.ndjson").touch()
    assert "already holds a run" in mistake(capfd, "run", SOUND, "--out", tmp_path)


def test_an_empty_folder_is_taken_for_the_run(tmp_path: Path, requests: list[RunRequest]) -> None:
    assert main(["run", str(SOUND), "--out", str(tmp_path)]) == 0
    assert requests[0].out == str(tmp_path)


@pytest.mark.parametrize("within", ["", "sound"])
def test_a_run_started_in_the_plugins_folder_is_written_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: list[RunRequest], within: str
) -> None:
    plugin = sound().build(tmp_path / "plugin")
    monkeypatch.chdir(plugin / within)
    assert main(["run", str(plugin)]) == 0
    assert requests[0].out == str(tmp_path / "certify-runs" / "plugin-1")


def test_an_unknown_command_names_the_nearest(capfd: Captured) -> None:
    assert 'Did you mean "explain"?' in mistake(capfd, "explan", "leak.memory")


def test_no_command_at_all_is_told(capfd: Captured) -> None:
    assert "--help" in mistake(capfd)


@pytest.mark.parametrize("command", ["report", "replay"])
def test_a_folder_that_holds_no_run_is_told(tmp_path: Path, capfd: Captured, command: str) -> None:
    words = [command, str(tmp_path), *(["leak.memory"] if command == "replay" else [])]
    assert "is not the folder of a run" in mistake(capfd, *words)


@pytest.mark.parametrize("data", [b"", b"{cut\n{}\n", b"5\n", b'{"event": "run"}\n'])
def test_a_record_that_holds_no_run_is_told(tmp_path: Path, capfd: Captured, data: bytes) -> None:
    (tmp_path / "journal.ndjson").write_bytes(data)
    assert "journal.ndjson" in mistake(capfd, "report", tmp_path)


def test_report_makes_the_outputs_again(tmp_path: Path, capsys: Captured) -> None:
    written(tmp_path / "journal.ndjson", whole_plan())
    assert main(["report", str(tmp_path)]) == 0
    assert "PASSED at profile quick" in capsys.readouterr().out
    assert json.loads((tmp_path / "results.json").read_text("utf-8"))["verdict"]["name"] == "PASSED"
    assert (tmp_path / "junit.xml").is_file() and (tmp_path / "report.html").is_file()


def test_replay_of_a_requirement_that_the_run_lacks_names_the_nearest(
    tmp_path: Path, capfd: Captured
) -> None:
    path = written(tmp_path / "journal.ndjson", whole_plan())
    order = b'"order": {"plugin": "%s"}' % str(SOUND).encode()
    path.write_bytes(path.read_bytes().replace(b'"order": {"plugin": "made-up"}', order, 1))
    assert 'Did you mean "leak.memory"?' in mistake(capfd, "replay", tmp_path, "leak.memry")


def test_a_fault_of_our_own_is_code_4_and_no_rejection(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def broken(arguments: object) -> int:
        raise RuntimeError("our own fault")

    monkeypatch.setattr("certify.cli.catalogue.run_list", broken)
    assert main(["list"]) == 4
    assert "our own fault" in capsys.readouterr().err


def test_a_users_mistake_without_a_hint_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def mistaken(arguments: object) -> int:
        raise UserError("Not so.")

    monkeypatch.setattr("certify.cli.catalogue.run_list", mistaken)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "certify: Not so.\n"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["run", "--help"]])
def test_help_and_version_succeed(capsys: Captured, words: list[str]) -> None:
    assert main(words) == 0
    assert "certify" in capsys.readouterr().out


def in_bash(*words: object, rest: str) -> tuple[int, str]:
    """The exit code of `certify WORDS` within a line of bash, and what came on stderr."""
    command = shlex.join([sys.executable, "-m", "certify", *map(str, words)])
    line = f"{command} {rest}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "rest", "code"),
    [
        (["list", "--json"], "| head -c 10", 0),
        (["list"], "| true", 0),
        (["--help"], "| true", 0),
        (["list"], ">&-", 0),
        (["list"], "<&- >&- 2>&-", 0),
        (["explain", "leak.memroy"], "2>&1 | true", 2),
        (["explain", "leak.memroy"], "2>&-", 2),
    ],
)
def test_a_reader_that_goes_away_is_no_error(words: list[str], rest: str, code: int) -> None:
    assert in_bash(*words, rest=rest) == (code, "")


# The code of a narrow run of a sound plugin is 3: the rest was not measured.
@pytest.mark.parametrize("rest", ["| head -1", "<&- >&- 2>&-"])
def test_a_run_whose_reader_goes_away_keeps_its_code(tmp_path: Path, rest: str) -> None:
    out = tmp_path / "run"
    words = ("run", SOUND, "--requirement", "mark.declared", "--out", out)
    assert in_bash(*words, rest=rest) == (3, "")
    assert json.loads((out / "results.json").read_text("utf-8"))["verdict"]["name"] == "INCOMPLETE"
    assert (out / "report.html").is_file()


def test_a_report_whose_reader_goes_away_keeps_the_verdicts_code(tmp_path: Path) -> None:
    first = whole_plan().to_run[0].requirement.id
    written(tmp_path / "journal.ndjson", whole_plan(), {first: Outcome.FAILED})
    assert in_bash("report", tmp_path, rest="| true") == (1, "")


@pytest.mark.parametrize("words", [["--help"], ["list"], ["explain", "leak.memory"], ["plan", str(SOUND)]])
def test_questions_are_answered_quickly_and_without_the_heavy_libraries(words: list[str]) -> None:
    code = (
        "import sys; from certify.cli.main import main; code = main(sys.argv[1:]); "
        "heavy = {'torch', 'diffusers', 'transformers', 'cv2', 'pytest'} & set(sys.modules); "
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True)
    after = os.times()
    assert (done.returncode, done.stderr) == (0, "")
    # Processor seconds, which other work on the machine does not change.
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < 1.5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run"], "takes a PLUGIN"),
        (["run", "x", "--resume", "."], "leave out PLUGIN"),
        (["run", "--resume", ".", "--profile", "store"], "leave out --profile"),
        (["run", "--resume", "/nowhere"], "no journal.ndjson"),
        (["run", str(ROOT / "examples" / "inkwash"), "--soak", "5x"], "30m or 24h"),
    ],
)
def test_resuming_and_soaking_tell_their_mistakes(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert told in capsys.readouterr().err
