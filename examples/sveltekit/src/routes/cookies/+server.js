export function GET({ cookies }) {
  cookies.set("one", "1", { path: "/" });
  cookies.set("two", "2", { path: "/", expires: new Date("2037-10-21T07:28:00Z") });
  return new Response("two cookies");
}
