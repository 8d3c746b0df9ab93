"""int8 from a float `.tflite` and the range of each of its tensors."""
