"""Between messages and what callers give and get, a module a subject."""
