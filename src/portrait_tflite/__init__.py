"""Portrait segmentation on phones: prune, quantize, verify and measure Keras models."""

__version__ = "0.1.0"
