export default defineEventHandler((event) => {
  setCookie(event, "one", "1");
  setCookie(event, "two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
  return "two cookies";
});
