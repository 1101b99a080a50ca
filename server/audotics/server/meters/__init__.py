"""What is measured: parts of the server go in, metrics in the words of Prometheus come out, a module an area."""
