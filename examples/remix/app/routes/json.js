import { json } from "@remix-run/node";

export async function action({ request }) {
  return json({ received: await request.json() });
}
