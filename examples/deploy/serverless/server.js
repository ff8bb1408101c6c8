// The smallest app: any web server that listens on $PORT takes its place.
const { createServer } = require("node:http");

createServer((request, response) => {
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end("<h1>Hello from Lambda</h1>\n");
}).listen(process.env.PORT || 8080);
