"""From a topology to a scene, and from a scene to a window or a picture: the only package that knows VTK."""
