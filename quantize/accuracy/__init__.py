"""What int8 costs in accuracy: masks of two networks over pictures, scored and summed up."""
