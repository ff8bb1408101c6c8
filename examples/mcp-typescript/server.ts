import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import express from "express";
import { z } from "zod";

function makeServer() {
  const server = new McpServer({ name: "orders", version: "1.0.0" });
  server.registerTool(
    "order_state",
    { description: "The state of an order", inputSchema: { id: z.number().int() } },
    async ({ id }) => ({ content: [{ type: "text", text: `order ${id} is shipped` }] }),
  );
  return server;
}

const app = express();
app.use(express.json({ limit: "6mb" }));

// A server and a transport for each request: nothing is remembered between two.
app.post("/mcp", async (req, res) => {
  const server = makeServer();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on("close", () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(req, res, req.body);
});
// No stream of notifications outside a request, and no session to end.
app.all("/mcp", (req, res) => res.status(405).set("allow", "POST").end());
app.get("/", (req, res) => res.send("an MCP server at /mcp"));

app.listen(Number(process.env.PORT) || 8080, "127.0.0.1");
