"""Rewriting finished `.tflite` files, each place judged."""
