"""Models of other servers, as runtimes: named arrays go out by their protocols, and answers come back."""
