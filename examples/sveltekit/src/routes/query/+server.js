export function GET({ url }) {
  return new Response(url.search.slice(1));
}
