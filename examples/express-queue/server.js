const express = require("express");

const app = express();
const queue = [];

app.get("/", (req, res) => res.send("<h1>Hello from Express, with a queue</h1>"));

app.post("/mails/:to", (req, res) => {
  queue.push(req.params.to);
  res.status(202).json({ accepted: req.params.to });
});

// The adapter calls this after each response. Lambda freezes the app only when it has responded.
app.post("/_after", async (req, res) => {
  // Work that is added meanwhile is done as well.
  while (queue.length > 0) {
    await sendMail(queue.shift());
  }
  res.status(204).end();
});

async function sendMail(to) {
  await new Promise((resolve) => setTimeout(resolve, 500));
  console.log(`mail sent to ${to}`);
}

app.listen(process.env.PORT || 8080);
