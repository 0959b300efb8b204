"""Commands of `countersign` that fill a file of their own; cli.py declares them all."""
