"""What the image's command becomes: the program, the interpreter that it runs on, and the application."""
