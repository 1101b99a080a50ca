"""GPUs of this machine, and what has to be so that libraries can use them."""
