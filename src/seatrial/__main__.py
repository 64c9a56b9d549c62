"""`python -m seatrial`: the same commands as `seatrial`."""

from seatrial.cli.program import main

main()
