"""Generated messages and stubs of the wire contract, from `protos/audotics/v1`. Made by `make protos`."""
