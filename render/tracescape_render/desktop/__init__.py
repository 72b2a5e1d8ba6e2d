"""The Qt side of the window: all of it needs PySide6 and a display, and runs on the thread that draws."""
