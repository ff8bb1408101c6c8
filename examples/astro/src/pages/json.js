export const POST = async ({ request }) => Response.json({ received: await request.json() });
