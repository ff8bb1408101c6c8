use rocket::http::uri::Origin;
use rocket::http::{Cookie, CookieJar};
use rocket::response::{Redirect, content::RawHtml};
use rocket::serde::json::{Json, Value, json};
use rocket::{Config, get, post, routes};

#[get("/")]
fn page() -> RawHtml<&'static str> {
    RawHtml("<h1>Hello from Rocket</h1>")
}

#[post("/json", data = "<received>")]
fn received(received: Json<Value>) -> Value {
    json!({ "received": received.into_inner() })
}

#[get("/query")]
fn query(uri: &Origin) -> String {
    uri.query()
        .map_or_else(String::new, |query| query.as_str().to_owned())
}

#[get("/cookies")]
fn cookies(jar: &CookieJar) -> &'static str {
    jar.add(("one", "1"));
    jar.add(Cookie::build(("two", "2")).max_age(rocket::time::Duration::hours(1)));
    "two cookies"
}

#[get("/download")]
fn download() -> Vec<u8> {
    (0..=255).cycle().take(65536).collect()
}

#[get("/redirect")]
fn redirect() -> Redirect {
    Redirect::to("/")
}

#[rocket::launch]
fn launch() -> _ {
    let port = std::env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok());
    let config = Config {
        port: port.unwrap_or(8080),
        ..Config::release_default()
    };
    rocket::custom(config).mount(
        "/",
        routes![page, received, query, cookies, download, redirect],
    )
}
