"""What the project's own files say: Dockerfile, build context, compose file, dependencies and locks."""
