const express = require("express");

const app = express();
app.use(express.json({ limit: "6mb" }));

// A body that is no order throws.
function accept(message) {
  const { order } = JSON.parse(message.body);
  if (!Number.isInteger(order)) throw new Error(`no order in ${message.body}`);
  console.log(`accepted order ${order}`);
}

// What is listed here comes again, the other messages are deleted from the queue. An answer of 400 or more would bring back all.
app.post("/events", (req, res) => {
  const batchItemFailures = [];
  for (const message of req.body.Records) {
    try {
      accept(message);
    } catch (error) {
      console.error(`${message.messageId}: ${error.message}`);
      batchItemFailures.push({ itemIdentifier: message.messageId });
    }
  }
  res.json({ batchItemFailures });
});

app.listen(process.env.PORT || 8080);
