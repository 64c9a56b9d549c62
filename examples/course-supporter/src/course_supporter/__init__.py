"""Course Supporter: a web API that stores courses and drafts their outlines."""
