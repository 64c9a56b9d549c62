"""What only a running container shows: the probe, and the starts of the image's command."""
