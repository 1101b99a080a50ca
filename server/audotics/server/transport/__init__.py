"""gRPC: calls go in, are decoded, served and encoded, and leave as answers or as rich errors."""
