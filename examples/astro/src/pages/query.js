export const GET = ({ url }) => new Response(url.search.slice(1));
