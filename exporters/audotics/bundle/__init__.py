"""The disk contract: a bundle is one exported version of one model, in `<repository>/<model>/<version>/`."""
