const { createServer } = require("node:http");
const { setTimeout: sleep } = require("node:timers/promises");

const answer = "Words come one by one, as a language model makes them.".split(" ");

const page = `<h1>Hello from a stream</h1>
<p></p>
<script>
  const source = new EventSource("stream");
  source.onmessage = ({ data }) => { document.querySelector("p").append(JSON.parse(data).word, " "); };
  source.addEventListener("done", () => source.close());
</script>`;

async function stream(response) {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  for (const [id, word] of answer.entries()) {
    response.write(`id: ${id}\ndata: ${JSON.stringify({ word })}\n\n`);
    await sleep(150);
  }
  response.end("event: done\ndata: {}\n\n");
}

createServer((request, response) => {
  if (request.url === "/stream") return stream(response);
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.statusCode = request.url === "/" ? 200 : 404;
  response.end(request.url === "/" ? page : "not found");
}).listen(process.env.PORT || 8080, "127.0.0.1");
