export async function loader({ request }) {
  return new Response(new URL(request.url).search.slice(1));
}
