"""One trace from inside: a wall of spans, as data, as a picture, as a place in the window."""
