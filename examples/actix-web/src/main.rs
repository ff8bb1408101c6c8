use actix_web::cookie::Cookie;
use actix_web::web::{Json, Redirect};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, get, post, route, web};
use serde_json::{Value, json};

#[route("/", method = "GET", method = "HEAD")]
async fn page() -> impl Responder {
    web::Html::new("<h1>Hello from Actix Web</h1>")
}

#[post("/json")]
async fn received(received: Json<Value>) -> impl Responder {
    Json(json!({ "received": *received }))
}

#[get("/query")]
async fn query(request: HttpRequest) -> impl Responder {
    request.query_string().to_owned()
}

#[get("/cookies")]
async fn cookies() -> impl Responder {
    HttpResponse::Ok()
        .cookie(Cookie::new("one", "1"))
        .cookie(Cookie::build("two", "2").secure(true).finish())
        .body("two cookies")
}

#[get("/download")]
async fn download() -> impl Responder {
    let bytes: Vec<u8> = (0..=255).cycle().take(65536).collect();
    HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(bytes)
}

#[get("/redirect")]
async fn elsewhere() -> impl Responder {
    Redirect::to("/").see_other()
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").map_or(8080, |port| port.parse().expect("a port"));
    let app = || {
        App::new()
            .service(page)
            .service(received)
            .service(query)
            .service(cookies)
            .service(download)
            .service(elsewhere)
    };
    HttpServer::new(app)
        .workers(1)
        .bind(("127.0.0.1", port))?
        .run()
        .await
}
