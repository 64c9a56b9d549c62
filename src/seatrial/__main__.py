"""`python -m seatrial`: the same commands as `seatrial`."""

from seatrial.cli.collection import main

main()
