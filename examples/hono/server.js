import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { setCookie } from "hono/cookie";
import { streamText } from "hono/streaming";

const app = new Hono();

app.get("/", (c) => c.html("<h1>Hello from Hono</h1>"));
app.post("/json", async (c) => c.json({ received: await c.req.json() }));
app.get("/query", (c) => c.text(c.req.url.split("?").slice(1).join("?")));
app.get("/cookies", (c) => {
  setCookie(c, "one", "1");
  setCookie(c, "two", "2", { maxAge: 3600 });
  return c.text("two cookies");
});
app.get("/download", (c) => c.body(Uint8Array.from({ length: 65536 }, (_, i) => i), 200, { "content-type": "application/octet-stream" }));
app.get("/redirect", (c) => c.redirect("/"));
app.get("/stream", (c) => streamText(c, async (stream) => {
  for (let n = 1; n <= 4; n++) {
    await stream.writeln(`tick ${n}`);
    await stream.sleep(300);
  }
}));

serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT) || 8080 });
