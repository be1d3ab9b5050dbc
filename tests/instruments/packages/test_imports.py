"""Which modules an entry loads on every system."""

import pytest

from certify.instruments.code.source import Source, parse_source
from certify.instruments.packages.imports import loaded
from certify.instruments.portability.source import check_source

POSIX = "import fcntl\n"


def source_of(text: str | bytes) -> Source:
    parsed = parse_source(text, "plugin.py")
    assert isinstance(parsed, Source)
    return parsed


def package(**texts):
    sources = [parse_source(text, file.replace("__", "/") + ".py") for file, text in texts.items()]
    assert all(isinstance(source, Source) for source in sources)
    return sources


def reached(entry="ink.plugin", **texts):
    return loaded(package(**texts), [entry] if entry else [])


@pytest.mark.parametrize(
    "plugin",
    [
        "import os\nif os.name == 'nt':\n    from . import windows\nelse:\n    from . import posix\n",
        "try:\n    from .posix import lock\nexcept ImportError:\n    from .windows import lock\n",
        "import sys\nmatch sys.platform:\n    case 'linux':\n        from . import posix\n",
        "def lock():\n    import os\n    if os.name == 'posix':\n        from ink import posix\n",
        "from .helpers import IS_WINDOWS\nif not IS_WINDOWS:\n    from .posix import lock\n",
        "x = 1\n",
    ],
)
def test_what_is_imported_on_one_system_alone_is_not_loaded_on_all(plugin):
    files = reached(ink__plugin=plugin, ink__posix=POSIX, ink__windows="import msvcrt\n", tests__a=POSIX)
    assert files == {"ink/plugin.py"}


@pytest.mark.parametrize(
    "plugin",
    [
        "from . import posix\n",
        "from .posix import lock\n",
        "import ink.posix\n",
        "from ink import posix\n",
        "from ink.posix import *\n",
        "def lock():\n    from . import posix\n",
        "import importlib\nposix = importlib.import_module('.posix', __package__)\n",
        "import importlib\nposix = importlib.import_module('ink.posix')\n",
        "import importlib\ndef f(name):\n    return importlib.import_module(name)\n",
        "if True:\n    from . import posix\n",
    ],
)
def test_what_is_imported_on_every_system_is(plugin):
    assert "ink/posix.py" in reached(ink__plugin=plugin, ink__posix=POSIX)


def test_a_package_s_own_files_come_before_its_modules():
    sources = package(ink__plugin="x = 1\n", ink__posix=POSIX)
    sources.append(parse_source("from .posix import lock\n", "ink/__init__.py"))
    assert loaded(sources, ["ink.plugin"]) == {"ink/__init__.py", "ink/plugin.py", "ink/posix.py"}


def test_without_an_entry_that_is_there_everything_counts():
    texts = {"ink__plugin": "x = 1\n", "ink__posix": POSIX}
    assert reached("", **texts) == reached("other.plugin", **texts) == {"ink/plugin.py", "ink/posix.py"}


@pytest.mark.parametrize(
    "guard",
    [
        "import platform\nWINDOWS = platform.system() == 'Windows'\nif not WINDOWS:\n",
        "from .compat import IS_POSIX\nif IS_POSIX:\n",
        "import os\nif hasattr(os, 'fork'):\n",
        "import importlib.util\nif importlib.util.find_spec('fcntl'):\n",
        "import sys\nHERE = sys.platform\nif HERE.startswith('linux'):\n",
    ],
)
def test_a_question_about_the_system_guards_an_import_however_it_is_put(guard):
    source = source_of(guard + "    import fcntl\n")
    assert check_source(source) == []


def test_another_question_guards_nothing():
    source = source_of("FAST = True\nif FAST:\n    import fcntl\n")
    assert [found.rule for found in check_source(source)] == ["one-platform-import"]
