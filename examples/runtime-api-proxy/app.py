from http.server import BaseHTTPRequestHandler, HTTPServer
import os


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Hello through a Runtime API proxy</h1>")


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Page).serve_forever()
