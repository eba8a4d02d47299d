"""`python -m pgrad` is the command `pgrad`."""

from pgrad.cli.main import main

main()
