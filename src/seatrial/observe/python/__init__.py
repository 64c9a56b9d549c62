"""What the image's files tell of its interpreter, its packages and the application's code; nothing is run."""
