"""What the portal costs, one program per figure: `python -m bench`, or one as `python -m bench.NAME`."""
