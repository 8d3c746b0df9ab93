"""What brings an int8 file back to the masks of its float network, one file per remedy."""
