export async function action({ request }) {
  return Response.json({ received: await request.json() });
}
