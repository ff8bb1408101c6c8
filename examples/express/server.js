const express = require("express");

const app = express();
app.use(express.json());

app.get("/", (req, res) => res.send("<h1>Hello from Express</h1>"));
app.post("/json", (req, res) => res.json({ received: req.body }));
app.get("/query", (req, res) => res.type("text").send(req.url.split("?").slice(1).join("?")));
app.get("/cookies", (req, res) => {
  res.cookie("one", "1");
  res.cookie("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
  res.send("two cookies");
});
app.get("/download", (req, res) => res.send(Buffer.from(Array.from({ length: 65536 }, (_, i) => i))));
app.get("/redirect", (req, res) => res.redirect("/"));

const server = app.listen(process.env.PORT || 8080);

process.on("SIGTERM", () => server.close(() => console.log("closed")));
