"""`python -m certify`."""

import sys
from pathlib import Path

# `-m` puts the working folder first, where a plugin's files may bear the names of modules. In a checkout of
# certify that folder is where certify itself is.
if sys.path and Path(sys.path[0] or ".").resolve() != Path(__file__).resolve().parent.parent:
    del sys.path[0]

from certify.cli.main import main

sys.exit(main())
