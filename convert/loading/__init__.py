"""Keras models of every format, and old ones, as one that can be walked."""
