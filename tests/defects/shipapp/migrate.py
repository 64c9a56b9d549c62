"""A second command, which only a deploy job runs."""


def main() -> int:
    return 0
