"""Use cases, one a file: validated values go in, answers come out, and everything between takes one snapshot."""
