export default {
  // A server with only the files it needs, in .next/standalone.
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
};
