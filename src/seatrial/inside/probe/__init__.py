"""The parts of the probe: `seatrial.inside.probe_script()` joins them into one script."""
