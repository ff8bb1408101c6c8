export async function GET(request) {
  return new Response(request.nextUrl.search.slice(1));
}
