async function* ticks() {
  for (let n = 1; n <= 4; n++) {
    yield new TextEncoder().encode(`tick ${n}\n`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

export default defineEventHandler((event) => {
  setHeader(event, "content-type", "text/plain");
  return ReadableStream.from(ticks());
});
