export const GET = ({ cookies }) => {
  cookies.set("one", "1");
  cookies.set("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
  return new Response("two cookies");
};
