export const dynamic = "force-dynamic";

async function* ticks() {
  for (let n = 1; n <= 4; n++) {
    yield new TextEncoder().encode(`tick ${n}\n`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

export async function GET() {
  return new Response(ReadableStream.from(ticks()), { headers: { "content-type": "text/plain" } });
}
