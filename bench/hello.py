"""The least a page can cost here: one line out of Flask, served as the portal is."""

from __future__ import annotations

import sys

from flask import Flask, Response

from portal import lifeline

lifeline.end_with_parent()
app = Flask(__name__, static_folder=None)


@app.get("/")
@app.get("/healthz")
def hello() -> Response:
    return Response("hello\n", mimetype="text/plain")


def main() -> None:
    from portal import serving

    serving.web_server("127.0.0.1", int(sys.argv[1]), workers=2, target="bench.hello:app").serve()


if __name__ == "__main__":
    main()
