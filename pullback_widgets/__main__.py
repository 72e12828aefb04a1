"""``python -m pullback_widgets`` is ``pullback-widgets``."""

import sys

from .command.command import main

sys.exit(main())
