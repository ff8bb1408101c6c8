"""A small web site on Python's http.server: one of each kind of response, and a few failures.

It listens on $PORT, or where $AWS_LAMBDA_HTTP_ENDPOINT says.
"""
import http.server
import json
import os
import signal
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit


BLOCK = bytes((place * 31 + (place >> 8)) & 255 for place in range(1 << 16))
SMALL, LARGE = BLOCK * 3, BLOCK * 48
COOKIES = [
    ("set-cookie", "a=1; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
    ("set-cookie", "b=2"),
]
PAGES = {
    "/html": (200, [("content-type", "text/html; charset=utf-8")], "<h1>Grüße</h1>\n".encode()),
    "/json": (200, [("content-type", "application/json")], '{"b":1,"a":[1.50,"ü"]}'.encode()),
    "/small.bin": (200, [("content-type", "application/octet-stream")], SMALL),
    "/large.bin": (200, [("content-type", "application/octet-stream")], LARGE),
    "/cookies": (200, [("content-type", "text/plain"), *COOKIES], b"two"),
    "/redirect": (302, [("location", "/html?from=redirect")], b""),
    "/broken": (500, [("content-type", "text/plain")], b"it broke"),
    "/": (200, [("content-type", "text/plain")], b"ready\n"),
}
ticks = 0
hoard = []
cache = []
barrier = threading.Barrier(2)


def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1


class Site(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def text(self, text):
        self.reply(200, [("content-type", "text/plain")], str(text).encode())

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def handle_any(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path in PAGES:
            self.reply(*PAGES[url.path])
        elif url.path == "/nothing":
            self.reply(204, [], b"")
        elif url.path == "/echo":
            kind = self.headers.get("content-type", "application/octet-stream")
            self.reply(200, [("content-type", kind)], self.body())
        elif url.path == "/events":
            self.reply(200, [("content-type", "application/json")], self.body())
        elif url.path == "/seen":
            seen = {
                "method": self.command,
                "url": self.path,
                "probe": self.headers.get("x-probe"),
                "cookie": self.headers.get("cookie"),
            }
            self.reply(200, [("content-type", "application/json")], json.dumps(seen).encode())
        elif url.path == "/header":
            self.text(self.headers.get(query["name"], "-"))
        elif url.path == "/env":
            self.text(os.environ.get(query["name"], "-"))
        elif url.path == "/pid":
            self.text(os.getpid())
        elif url.path == "/after":
            began = ticks
            time.sleep(float(os.environ.get("AFTER", "0")))
            print(f"after the response: {began} to {ticks} ticks", flush=True)
            self.reply(204, [], b"")
        elif url.path == "/hook":
            time.sleep(float(os.environ.get("HOOK", "0")))
            self.reply(204, [], b"")
        elif url.path == "/orders":
            order = json.loads(self.body())["order"]
            self.reply(500 if order % 3 == 0 else 200, [], b"")
        elif url.path == "/ticks":
            self.text(ticks)
        elif url.path == "/slow":
            time.sleep(float(query["seconds"]))
            self.text("slept")
        elif url.path == "/slow-once":
            if "warm" not in cache:
                time.sleep(0.7)
                cache.append("warm")
            self.text("warm\n")
        elif url.path == "/meet":
            try:
                barrier.wait(float(query["seconds"]))
                self.text("met")
            except threading.BrokenBarrierError:
                barrier.reset()
                self.text("alone")
        elif url.path == "/chunks":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            self.text(b"".join(parts).decode())
        elif url.path == "/crash":
            os._exit(3)
        elif url.path == "/print":
            print("\n".join(f"line {number}" for number in range(4000)), file=sys.stderr)
            self.text("printed")
        elif url.path == "/late":
            self.reply(500, [], b"it broke")
            time.sleep(0.01)
            print("a late traceback", flush=True)
        elif url.path == "/drop":
            self.close_connection = True
        elif url.path == "/hog":
            hoard.append(b"x" * (int(query["mb"]) << 20))
            time.sleep(5)
            self.text("still here")
        elif url.path == "/stream":
            self.stream(int(query.get("die_after", 99)))
        else:
            self.reply(404, [("content-type", "text/plain")], f"no {url.path}\n".encode())

    def stream(self, die_after):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(5):
            if number == die_after:
                self.close_connection = True
                return
            event = f"data: {number} {time.time()}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            time.sleep(0.15)
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any


def terminated(*_):
    print("got SIGTERM", flush=True)
    if os.environ.get("STUBBORN") != "1":
        os._exit(0)


signal.signal(signal.SIGTERM, terminated)
threading.Thread(target=tick, daemon=True).start()
time.sleep(float(os.environ.get("SLOW_START", "0")))
print("listening", flush=True)
port = os.environ.get("PORT") or os.environ["AWS_LAMBDA_HTTP_ENDPOINT"].rsplit(":")[-1]
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Site).serve_forever()
