from http.server import BaseHTTPRequestHandler, HTTPServer
import os
import random

state = {"seed": None, "squares": []}


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            self.send_error(404)
            return
        page = f"<h1>Hello from a snapshot</h1><p>{len(state['squares'])} squares, seed {state['seed']}</p>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        if self.path == "/snapstart/before":
            # Work that every environment would do at its start is in the snapshot.
            state["squares"] = [number * number for number in range(100_000)]
        elif self.path == "/snapstart/after":
            # Each environment begins with the same memory: what must be unique is made now.
            state["seed"] = random.SystemRandom().getrandbits(32)
        self.send_response(204)
        self.end_headers()


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), App).serve_forever()
