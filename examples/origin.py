"""The server behind examples that are proxies: the routes of all examples, on a free port that it prints."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from checks import BYTES


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/":
            forwarded = self.headers["X-Forwarded-By"] or "nobody"
            self.answer(200, f"<h1>Hello by way of {forwarded}</h1>".encode(), [("Content-Type", "text/html")])
        elif path == "/query":
            self.answer(200, query.encode("latin-1"), [("Content-Type", "text/plain")])
        elif path == "/cookies":
            self.answer(200, b"two cookies", [("Set-Cookie", "one=1"), ("Set-Cookie", "two=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT")])
        elif path == "/download":
            self.answer(200, BYTES, [("Content-Type", "application/octet-stream")])
        elif path == "/redirect":
            self.answer(302, b"", [("Location", "/")])
        else:
            self.answer(404)

    do_HEAD = do_GET

    def do_POST(self):
        received = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200, json.dumps({"received": received}).encode(), [("Content-Type", "application/json")])

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    print(f"127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
