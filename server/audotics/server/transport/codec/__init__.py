"""Where protobuf stops: messages go in, checked values of `audotics.server` come out, and back."""
