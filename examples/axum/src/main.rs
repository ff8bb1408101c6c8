use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Json, Router, extract::RawQuery};
use serde_json::{Value, json};

async fn received(Json(received): Json<Value>) -> Json<Value> {
    Json(json!({ "received": received }))
}

async fn query(RawQuery(query): RawQuery) -> String {
    query.unwrap_or_default()
}

async fn cookies() -> impl IntoResponse {
    let cookies = AppendHeaders([
        (SET_COOKIE, "one=1"),
        (SET_COOKIE, "two=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT"),
    ]);
    (cookies, "two cookies")
}

async fn download() -> impl IntoResponse {
    let bytes: Vec<u8> = (0..=255).cycle().take(65536).collect();
    ([(CONTENT_TYPE, "application/octet-stream")], bytes)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let app = Router::new()
        .route("/", get(|| async { Html("<h1>Hello from axum</h1>") }))
        .route("/json", post(received))
        .route("/query", get(query))
        .route("/cookies", get(cookies))
        .route("/download", get(download))
        .route("/redirect", get(|| async { Redirect::to("/") }));

    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await
}
