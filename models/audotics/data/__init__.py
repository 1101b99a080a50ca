"""Data sets: files, databases and generators go in, `Dataset` values come out."""
