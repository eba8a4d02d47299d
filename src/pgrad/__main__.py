"""`python -m pgrad` is the command `pgrad`."""

from pgrad.cli import main

main()
