const fastify = require("fastify")({ logger: true });

fastify.register(require("@fastify/cookie"));

fastify.get("/", (request, reply) => reply.type("text/html").send("<h1>Hello from Fastify</h1>"));
fastify.post("/json", async (request) => ({ received: request.body }));
fastify.get("/query", async (request) => request.url.split("?").slice(1).join("?"));
fastify.get("/cookies", async (request, reply) => {
  reply.setCookie("one", "1");
  reply.setCookie("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
  return "two cookies";
});
fastify.get("/download", async () => Buffer.from(Array.from({ length: 65536 }, (_, i) => i)));
fastify.get("/redirect", (request, reply) => reply.redirect("/"));

fastify.listen({ port: Number(process.env.PORT) || 8080 });
