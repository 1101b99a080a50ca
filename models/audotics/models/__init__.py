"""Models of taste, one file each."""
