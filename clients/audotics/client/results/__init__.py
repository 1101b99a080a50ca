"""What the methods of both clients return, a module a service."""
