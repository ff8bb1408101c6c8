"""The app for WSGI servers (PEP 3333)."""

import time


def parts():
    for part in range(5):
        yield f"data: {part}\n\n".encode()
        time.sleep(0.1)


def app(environ, start_response):
    def respond(status, body, kind="text/plain"):
        start_response(status, [("Content-Type", kind)])
        return body

    path = environ["PATH_INFO"]
    if path == "/plain":
        return respond("200 OK", [b"plain"])
    if path == "/echo":
        length = int(environ.get("CONTENT_LENGTH") or 0)
        return respond("200 OK", [environ["wsgi.input"].read(length)])
    if path == "/large":
        return respond("200 OK", [b"x" * 3_000_000])
    if path == "/stream":
        return respond("200 OK", parts(), "text/event-stream")
    if path == "/refuse":
        return respond("413 Content Too Large", [b"refused"])
    return respond("404 Not Found", [b"missing"])
