"""Which ops int8 harms most, by what is lost in their tensors and in the mask."""
