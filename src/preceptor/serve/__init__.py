"""A bundle behind HTTP: answers on images that a browser or a script sends."""
