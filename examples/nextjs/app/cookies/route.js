import { cookies } from "next/headers";

export async function GET() {
  const jar = await cookies();
  jar.set("one", "1");
  jar.set("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
  return new Response("two cookies");
}
