"""Build Docker images of Python applications, prove each against a contract, bring it up."""

__version__ = "0.1.0"
