"""`python -m seatrial`: the same commands as `seatrial`."""

from seatrial.tasks.program import main

main()
