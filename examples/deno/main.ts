const bytes = Uint8Array.from({ length: 65536 }, (_, i) => i);

async function answer(request: Request): Promise<Response> {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/":
      return new Response("<h1>Hello from Deno</h1>", { headers: { "content-type": "text/html" } });
    case "/json":
      return Response.json({ received: await request.json() });
    case "/query":
      return new Response(url.search.slice(1));
    case "/cookies": {
      const headers = new Headers();
      headers.append("set-cookie", "one=1");
      headers.append("set-cookie", "two=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT");
      return new Response("two cookies", { headers });
    }
    case "/download":
      return new Response(bytes, { headers: { "content-type": "application/octet-stream" } });
    case "/redirect":
      return new Response(null, { status: 302, headers: { location: "/" } });
    default:
      return new Response("not found", { status: 404 });
  }
}

Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.env.get("PORT") ?? 8080) }, answer);
