"""The one core of both clients, a module a service: the arguments of a method go in, a `Call` comes out."""
