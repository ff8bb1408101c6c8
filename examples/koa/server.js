const Koa = require("koa");
const Router = require("@koa/router");
const { bodyParser } = require("@koa/bodyparser");

const app = new Koa();
const router = new Router();

router.get("/", (ctx) => { ctx.body = "<h1>Hello from Koa</h1>"; });
router.post("/json", (ctx) => { ctx.body = { received: ctx.request.body }; });
router.get("/query", (ctx) => { ctx.body = ctx.querystring; });
router.get("/cookies", (ctx) => {
  ctx.cookies.set("one", "1");
  ctx.cookies.set("two", "2", { expires: new Date("2037-10-21T07:28:00Z") });
  ctx.body = "two cookies";
});
router.get("/download", (ctx) => { ctx.body = Buffer.from(Array.from({ length: 65536 }, (_, i) => i)); });
router.get("/redirect", (ctx) => ctx.redirect("/"));

app.use(bodyParser()).use(router.routes()).use(router.allowedMethods());
app.listen(process.env.PORT || 8080);
