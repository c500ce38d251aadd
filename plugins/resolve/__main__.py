"""``python -m lipcore_plugins.resolve``, with the installed folder on PYTHONPATH."""

import sys

from .start import main

sys.exit(main())
