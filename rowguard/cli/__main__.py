"""`python -m rowguard.cli`."""

from rowguard.cli import main

main()
