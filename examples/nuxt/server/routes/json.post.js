export default defineEventHandler(async (event) => ({ received: await readBody(event) }));
