"""Observes an image and its project: `gather` puts the facts together. The modules beside it read the image's files."""
