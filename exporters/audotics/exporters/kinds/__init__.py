"""How each kind of bundle is made from a run, one module a kind."""
