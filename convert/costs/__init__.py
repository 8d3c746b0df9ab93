"""What ops cost on a target, by its committed table."""
