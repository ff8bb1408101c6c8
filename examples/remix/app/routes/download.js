const bytes = Uint8Array.from({ length: 65536 }, (_, i) => i);

export async function loader() {
  return new Response(bytes, { headers: { "Content-Type": "application/octet-stream" } });
}
