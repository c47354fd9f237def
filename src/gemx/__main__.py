"""The entry of `gemx` and of `python -m gemx`."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line and leave with its exit code."""
    from gemx.cli.app import main

    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
