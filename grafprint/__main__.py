"""``python -m grafprint``: the same as the console script."""

from grafprint.cli import main

main()
