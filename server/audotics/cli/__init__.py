"""The `audotics` command, one file a command group."""
