const bytes = Uint8Array.from({ length: 65536 }, (_, i) => i);

export const GET = () => new Response(bytes, { headers: { "content-type": "application/octet-stream" } });
