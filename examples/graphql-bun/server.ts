import { createSchema, createYoga } from "graphql-yoga";

const orders = new Map([[7, { id: 7, state: "packed" }]]);

const yoga = createYoga({
  schema: createSchema({
    typeDefs: `
      type Order { id: Int! state: String! }
      type Query { order(id: Int!): Order }
      type Mutation { ship(id: Int!): Order }
    `,
    resolvers: {
      Query: { order: (_, { id }) => orders.get(id) },
      Mutation: {
        ship: (_, { id }) => {
          const order = orders.get(id);
          if (order) order.state = "shipped";
          return order;
        },
      },
    },
  }),
});

Bun.serve({
  hostname: "127.0.0.1",
  port: process.env.PORT ?? 8080,
  routes: {
    "/": new Response("<h1>Hello from GraphQL on Bun</h1>", { headers: { "content-type": "text/html" } }),
  },
  fetch: (request) => yoga.fetch(request),
});
