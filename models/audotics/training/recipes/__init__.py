"""How each kind is trained in a run, one file a kind: an open run and options go in, model files and a record come out.

Each module has `options(flags)`, the kind's options with some fields set, and `train(run, options, …)`. It is imported
only when its kind is trained, since it may bring in a framework that others do without.
"""
