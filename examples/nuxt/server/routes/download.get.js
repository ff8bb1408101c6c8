export default defineEventHandler((event) => {
  setHeader(event, "content-type", "application/octet-stream");
  return Buffer.from(Array.from({ length: 65536 }, (_, i) => i));
});
