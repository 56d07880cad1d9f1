"""``python -m dakit`` is the ``dakit`` command."""

from dakit.cli import main

main()
