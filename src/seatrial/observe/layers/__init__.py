"""The layers of a saved image: read as a stream, put on top of each other, and what follows from that."""
