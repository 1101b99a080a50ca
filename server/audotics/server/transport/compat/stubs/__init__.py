"""Generated messages of those protocols."""
