"""One file a service of the wire contract. A method is three steps: decode, call the service, encode."""
