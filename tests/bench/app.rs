//! The web app behind the adapter: one fixed response, from blocking threads.
//!
//! Every message is prepared beforehand, so that the app's own time is two system calls and the
//! same for every adapter. `/` is its readiness path; every other path has the response. A request
//! to `/verify` must carry the expected body byte for byte.

use crate::wire::Conn;
use std::io::{Error, ErrorKind, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub enum Response {
    /// Head and body in one write, as good servers do.
    Whole(Vec<u8>),
    /// Head, then body, with Nagle's algorithm on, as many frameworks do.
    Split(Vec<u8>, Vec<u8>),
    /// A head, then one chunk this many times, then the last chunk.
    Chunked {
        head: Vec<u8>,
        chunk: Vec<u8>,
        times: usize,
    },
}

pub struct Script {
    pub response: Response,
    pub request_body: Vec<u8>,
}

pub struct App {
    address: SocketAddr,
    listening: Instant,
    closing: Arc<AtomicBool>,
    threads: usize,
}

const READY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
const WRONG: &[u8] = b"HTTP/1.1 500 Wrong Body\r\ncontent-length: 0\r\n\r\n";

impl App {
    pub fn start(address: SocketAddr, threads: usize, script: Arc<Script>) -> Result<App> {
        let listener = Arc::new(TcpListener::bind(address)?);
        let listening = Instant::now();
        let address = listener.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        for _ in 0..threads {
            let (listener, closing, script) = (listener.clone(), closing.clone(), script.clone());
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if closing.load(Ordering::Relaxed) {
                        return;
                    }
                    // The adapter may go at any moment: it is killed at the end of its turn.
                    let _ = serve(stream, &script);
                }
            });
        }
        Ok(App {
            address,
            listening,
            closing,
            threads,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn listening(&self) -> Instant {
        self.listening
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        for _ in 0..self.threads {
            let _ = TcpStream::connect(self.address);
        }
    }
}

fn serve(stream: TcpStream, script: &Script) -> Result<()> {
    let mut conn = Conn::new(stream, !matches!(script.response, Response::Split(..)))?;
    while let Some(head) = conn.head()? {
        let line = conn.line(&head);
        let (readiness, verify) = (line.starts_with(b"GET / "), contains(line, b"/verify "));
        let (mut body, mut same) = (0, true);
        let length = conn.body(&head, |piece| {
            let expected = script.request_body.get(body..body + piece.len());
            same &= !verify || expected == Some(piece);
            body += piece.len();
        })?;
        if readiness {
            conn.send(READY)?;
        } else if !same || length != script.request_body.len() {
            conn.send(WRONG)?;
        } else {
            response(&mut conn, &script.response)?;
        }
        if head.close {
            return Ok(());
        }
    }
    Ok(())
}

fn response(conn: &mut Conn, response: &Response) -> Result<()> {
    match response {
        Response::Whole(message) => conn.send(message),
        Response::Split(head, body) => {
            conn.send(head)?;
            conn.send(body)
        }
        Response::Chunked { head, chunk, times } => {
            conn.send(head)?;
            for _ in 0..*times {
                conn.send(chunk)?;
            }
            conn.send(b"0\r\n\r\n")
        }
    }
}

fn contains(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|w| w == part)
}

/// Binds an address again. An adapter that polls the closed port can, rarely, be connected to
/// itself there (TCP's simultaneous open), which holds the port for a moment.
pub fn start_at(address: SocketAddr, script: &Arc<Script>) -> Result<App> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match App::start(address, 3, script.clone()) {
            Err(e) if e.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {}
            Err(e) => {
                return Err(Error::new(
                    e.kind(),
                    format!("failed to listen on `{address}`: {e}"),
                ));
            }
            Ok(app) => return Ok(app),
        }
    }
}
