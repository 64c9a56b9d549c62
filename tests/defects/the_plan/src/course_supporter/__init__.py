"""A course supporter, as small as can be."""
