"""certify: decides whether a Stable Diffusion plugin may be sold in a plugin store."""

from pathlib import Path as _Path

__version__ = "0.1.0"

SPEC_REVISION = "2026.1"

# In a checkout, suites/ and reports/ stand beside this package; installed, they are inside it.
_beside = _Path(__file__).resolve().parent.parent
if not (_Path(__file__).parent / "suites").is_dir() and (_beside / "suites" / "__init__.py").is_file():
    __path__.append(str(_beside))
