const { configure } = require("@codegenie/serverless-express");
exports.handler = configure({ app: require("./app.cjs") });
