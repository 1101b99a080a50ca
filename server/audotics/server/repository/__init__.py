"""What is served: bundles and catalogue changes go in, one immutable snapshot for each request comes out."""
