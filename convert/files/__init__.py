"""Finished `.tflite` files: reading, writing, listing ops, what they need."""
