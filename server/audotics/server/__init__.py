"""The recommendation server: `app` wires the floors below it, each of which imports only downwards."""
