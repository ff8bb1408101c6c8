export default defineEventHandler((event) => event.path.split("?").slice(1).join("?"));
