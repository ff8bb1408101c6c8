//! The floor: the least work that any adapter must do, with fixed bytes and no parsing.
//!
//! The bench binary runs itself again with `--floor`, so that the floor is a process of its own
//! like the adapters, against the same Runtime API and app. It makes the same three round trips
//! (`/next`, the app, `/response`) on persistent connections, one write for each message, and reads
//! only where a message ends. For a small streamed response it is the same three round trips; a
//! long stream is forwarded byte for byte.

use crate::ledger::ID_PLACE;
use crate::wire::Conn;
use std::io::{Error, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::os::linux::net::TcpStreamExt;
use std::time::Duration;

/// The floor's messages, from its environment.
#[derive(Clone)]
pub struct Script {
    /// Bytes of body to the app, and bytes of `/response`.
    pub request: usize,
    pub reply: usize,
    /// Forward this many bytes of the app's own chunked framing instead.
    pub relay: usize,
    /// The app writes head and body apart with Nagle's algorithm on: acknowledge at once.
    pub quick: bool,
}

impl Script {
    pub fn to_env(&self) -> (&'static str, String) {
        let quick = u8::from(self.quick);
        (
            "FLOOR",
            format!("{} {} {} {quick}", self.request, self.reply, self.relay),
        )
    }

    fn from_env() -> Result<Script> {
        let text = variable("FLOOR")?;
        let mut numbers = text.split(' ').map(|n| n.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Ok(Script {
            request: next(),
            reply: next(),
            relay: next(),
            quick: next() == 1,
        })
    }
}

pub fn run() -> Result<()> {
    let script = Script::from_env()?;
    let api = variable("AWS_LAMBDA_RUNTIME_API")?;
    let app = format!("127.0.0.1:{}", variable("AWS_LWA_PORT")?);
    let pollers = variable("AWS_LAMBDA_MAX_CONCURRENCY")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let mut extension = Conn::new(TcpStream::connect(&api)?, true)?;
    extension.send(
        b"POST /2020-01-01/extension/register HTTP/1.1\r\nhost: api\r\nlambda-extension-name: \
            floor\r\n\
          content-length: 13\r\n\r\n{\"events\":[]}",
    )?;
    message(&mut extension)?;
    extension.send(
        b"GET /2020-01-01/extension/event/next HTTP/1.1\r\nhost: api\r\n\
          lambda-extension-identifier: 5f0c2a5e-4c1b-4a55-9d0e-0c6f8a1b2c3d\r\n\r\n",
    )?;
    // All work that is possible before the app listens is done before it does.
    let first = Conn::new(TcpStream::connect(&api)?, true)?;
    let ready = ready(&app)?;
    let threads: Vec<_> = (1..pollers)
        .map(|_| {
            let (api, app, script) = (api.clone(), app.clone(), script.clone());
            std::thread::spawn(move || {
                let api = Conn::new(TcpStream::connect(&api)?, true)?;
                let app = Conn::new(TcpStream::connect(&app)?, true)?;
                serve(api, app, &script)
            })
        })
        .collect();
    serve(first, ready, &script)?;
    for thread in threads {
        thread
            .join()
            .map_err(|_| Error::other("a floor thread panicked"))??;
    }
    Ok(())
}

/// The ideal probe: it succeeds as soon as the port opens.
fn ready(app: &str) -> Result<Conn> {
    loop {
        match TcpStream::connect(app) {
            Ok(stream) => {
                let mut conn = Conn::new(stream, true)?;
                conn.send(b"GET / HTTP/1.1\r\nhost: app\r\n\r\n")?;
                if message(&mut conn).is_ok() {
                    return Ok(conn);
                }
            }
            Err(_) => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}

fn serve(mut api: Conn, mut app: Conn, script: &Script) -> Result<()> {
    let next = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: api\r\n\r\n";
    // As much as the event's headers and the two context headers.
    let mut request = format!(
        "POST /floor HTTP/1.1\r\nhost: app\r\nx-fixed: {}\r\n",
        "x".repeat(1800)
    );
    request += &format!(
        "content-length: {}\r\n\r\n{}",
        script.request,
        "x".repeat(script.request)
    );
    let mut reply = b"POST /2018-06-01/runtime/invocation/\
        8f0a1b2c-3d4e-4f50-8a6b-000000000000/response HTTP/1.1\r\n"
        .to_vec();
    let id = reply.len() - b"000000000000/response HTTP/1.1\r\n".len()
        ..reply.len() - b"/response HTTP/1.1\r\n".len();
    if script.relay > 0 {
        reply.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n8\r\n\0\0\0\0\0\0\0\0\r\n");
    } else {
        reply.extend_from_slice(format!("content-length: {}\r\n\r\n", script.reply).as_bytes());
        reply.resize(reply.len() + script.reply, b'x');
    }
    loop {
        api.send(next)?;
        let Some(head) = api.head()? else {
            return Ok(());
        };
        // The fake matches replies to events by this id; its place is fixed too.
        reply[id.clone()].copy_from_slice(&api.fields(&head)[ID_PLACE]);
        api.body(&head, |_| ())?;
        app.send(request.as_bytes())?;
        if script.quick {
            app.stream().set_quickack(true)?;
        }
        let head = app.head()?.ok_or(ErrorKind::UnexpectedEof)?;
        if script.relay > 0 {
            api.send(&reply)?;
            let mut failed = None;
            app.take(script.relay, |piece| {
                if let Err(e) = api.stream().write_all(piece) {
                    failed = Some(e);
                }
            })?;
            failed.map_or(Ok(()), Err)?;
        } else {
            app.body(&head, |_| ())?;
            api.send(&reply)?;
        }
        message(&mut api)?;
    }
}

fn message(conn: &mut Conn) -> Result<()> {
    let head = conn.head()?.ok_or(ErrorKind::UnexpectedEof)?;
    conn.body(&head, |_| ())?;
    Ok(())
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|e| Error::new(ErrorKind::NotFound, format!("`{name}`: {e}")))
}
