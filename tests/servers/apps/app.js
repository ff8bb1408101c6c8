// The app for Node's http, with the stream of ssestream.
const http = require("node:http");
const { default: SseStream } = require("ssestream");

http
  .createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    response.setHeader("content-type", "text/plain");
    if (pathname === "/plain") response.end("plain");
    else if (pathname === "/echo") request.pipe(response);
    else if (pathname === "/large") response.end("x".repeat(3000000));
    else if (pathname === "/stream") {
      const stream = new SseStream(request);
      stream.pipe(response);
      for (let part = 0; part < 5; part++) {
        stream.write({ data: String(part) });
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      stream.end();
    } else if (pathname === "/refuse") {
      response.writeHead(413, { connection: "close" });
      response.end("refused");
    } else {
      response.statusCode = 404;
      response.end("missing");
    }
  })
  .listen(process.env.PORT, "127.0.0.1");
