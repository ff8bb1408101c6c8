const express = require("express");
const app = express();
app.get("/", (req, res) => res.send("<h1>Hello</h1>"));
app.post("/json", express.json(), (req, res) => res.json({ received: req.body }));
module.exports = app;
