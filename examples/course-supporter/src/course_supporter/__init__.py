"""Course Supporter: a web API that stores courses and drafts their outlines."""

__version__ = "1.0.0"
