"""`python -m pgrad` is the command `pgrad`."""

from pgrad_command import main

main()
