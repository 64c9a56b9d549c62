"""compose/*: the checks of a compose file, by what they look at."""
