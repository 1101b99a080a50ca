"""HTTP beside gRPC, on a port of its own. Nothing outside of this room knows the libraries that it is made of."""
