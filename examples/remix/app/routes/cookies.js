export async function loader() {
  const headers = new Headers();
  headers.append("Set-Cookie", "one=1");
  headers.append("Set-Cookie", "two=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT");
  return new Response("two cookies", { headers });
}
