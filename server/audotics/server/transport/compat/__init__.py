"""Protocols of other model servers on the same port: their calls go in, and their answers come out."""
