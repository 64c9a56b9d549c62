"""What can go wrong, in words for the one who has to act on it."""

from http import HTTPStatus


class ConfigurationError(Exception):
    """The environment, `config/` or `prompts/` is not what the application needs.

    The message is one line, names the variable or the file, and holds no secret.
    """


class Problem(Exception):  # noqa: N818 - it is an answer to the client, not always an error of ours
    """An answer other than success. The client gets the code and the message, and nothing else."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
