const bytes = Uint8Array.from({ length: 65536 }, (_, i) => i);

Bun.serve({
  hostname: "127.0.0.1",
  port: process.env.PORT ?? 8080,
  routes: {
    "/": new Response("<h1>Hello from Bun</h1>", { headers: { "content-type": "text/html" } }),
    "/json": { POST: async (request) => Response.json({ received: await request.json() }) },
    "/query": (request) => new Response(new URL(request.url).search.slice(1)),
    "/cookies": (request) => {
      request.cookies.set("one", "1");
      request.cookies.set("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
      return new Response("two cookies");
    },
    "/download": new Response(bytes, { headers: { "content-type": "application/octet-stream" } }),
    "/redirect": Response.redirect("/"),
  },
  fetch: () => new Response("not found", { status: 404 }),
});
