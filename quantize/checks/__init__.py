"""The named checks of calibration pictures, of the network they are for, and of its ranges."""
