//! The Runtime API and the Extensions API, on blocking threads.
//!
//! Each connection has a thread that waits in `accept`, so an adapter that opens a fresh connection
//! for a streamed response (as AWS documents) does not pay for starting a thread here. The clock of
//! an invocation runs from just before its event is written until its reply has been read to the
//! last byte. Between rounds every `/next` is pending here, as at Lambda.

use crate::ledger::{DIGITS, Event, Ledger, Mine, Round};
use crate::wire::{Conn, Head};
use std::io::Result;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n\
        {\"status\":\"OK\"}\n";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const REGISTERED: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 62\r\n\
    Lambda-Extension-Identifier: 5f0c2a5e-4c1b-4a55-9d0e-0c6f8a1b2c3d\r\n\r\n\
    {\"functionName\":\"b\",\"functionVersion\":\"$LATEST\",\"handler\":\"h\"}";
pub struct Fake {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    threads: usize,
}

impl Fake {
    pub fn start(pollers: usize, compressed: bool) -> Result<Fake> {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0")?);
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger::default());
        ledger.lock().pollers = pollers;
        ledger.lock().compressed = compressed;
        // One for each poller's connection, one for its streamed response, one that is just being
        // closed, and some for the extension's.
        let threads = 3 * pollers + 6;
        for _ in 0..threads {
            let (listener, ledger) = (listener.clone(), ledger.clone());
            std::thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    if ledger.lock().closing {
                        return;
                    }
                    if let Err(e) = serve(stream, &ledger) {
                        ledger.fail(format!("connection to the runtime API: {e}"));
                    }
                }
            });
        }
        Ok(Fake {
            address,
            ledger,
            threads,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn registered(&self) -> std::result::Result<Instant, String> {
        let state = self
            .ledger
            .wait(Duration::from_secs(10), |s| s.registered.is_some())?;
        state.registered.ok_or_else(|| "never registered".into())
    }

    pub fn first_next(&self) -> std::result::Result<Instant, String> {
        let state = self
            .ledger
            .wait(Duration::from_secs(20), |s| s.first_next.is_some())?;
        state
            .first_next
            .ok_or_else(|| "never requested an event".into())
    }

    /// Waits until as many `/next` are pending as the adapter has pollers.
    pub fn parked(&self) -> std::result::Result<(), String> {
        self.ledger
            .wait(Duration::from_secs(20), |s| s.parked >= s.pollers)
            .map(|_| ())
    }

    /// Runs one invocation; returns its whole reply.
    pub fn once(&self, event: &Arc<Event>) -> std::result::Result<Vec<u8>, String> {
        self.ledger.lock().keep = true;
        self.round(event, 1, Duration::ZERO)?;
        let mut state = self.ledger.lock();
        state.keep = false;
        Ok(std::mem::take(&mut state.kept))
    }

    /// Hands out events for `time`, and at least `least` of them, as fast as they are requested.
    pub fn round(
        &self,
        event: &Arc<Event>,
        least: usize,
        time: Duration,
    ) -> std::result::Result<Round, String> {
        let mut state = self.ledger.lock();
        state.event = Some(event.clone());
        state.started.clear();
        state.left = least;
        let begun = Instant::now();
        state.until = (!time.is_zero()).then(|| begun + time);
        drop(state);
        self.ledger.work.notify_all();
        let limit = Duration::from_secs(30) + time;
        let mut state = self.ledger.wait(limit, |s| {
            s.left == 0 && s.in_flight == 0 && s.parked >= s.pollers
        })?;
        let ended = state.ended.unwrap_or(begun);
        Ok(Round {
            latency: std::mem::take(&mut state.latency),
            first_byte: std::mem::take(&mut state.first_byte),
            elapsed: ended - begun,
        })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ledger.lock().closing = true;
        self.ledger.work.notify_all();
        for _ in 0..self.threads {
            let _ = TcpStream::connect(self.address);
        }
    }
}

enum Call {
    Register,
    Park,
    Next,
    Response(usize),
    Error,
    Unknown,
}

fn serve(stream: TcpStream, ledger: &Ledger) -> Result<()> {
    let mut conn = Conn::new(stream, true)?;
    let mut mine = Mine::default();
    loop {
        let head = match conn.head() {
            Ok(Some(head)) => head,
            // Between messages an adapter may close, or be killed, at any time.
            Ok(None) | Err(_) => return Ok(()),
        };
        match call(conn.line(&head)) {
            Call::Response(id) => response(&mut conn, &head, ledger, id)?,
            Call::Next => match ledger.turn(&mut mine) {
                Some(()) => conn.send(&mine.message)?,
                None => return Ok(()),
            },
            Call::Register => {
                ledger.lock().registered.get_or_insert_with(Instant::now);
                ledger.news.notify_all();
                conn.body(&head, |_| ())?;
                conn.send(REGISTERED)?;
            }
            Call::Park => {
                conn.park();
                return Ok(());
            }
            Call::Error => {
                let mut body = Vec::new();
                conn.body(&head, |piece| body.extend_from_slice(piece))?;
                ledger.fail(format!(
                    "invocation failed: {}",
                    String::from_utf8_lossy(&body)
                ));
                conn.send(ACCEPTED)?;
            }
            Call::Unknown => {
                ledger.fail(format!(
                    "unknown call: {}",
                    String::from_utf8_lossy(conn.line(&head))
                ));
                conn.body(&head, |_| ())?;
                conn.send(NOT_FOUND)?;
            }
        }
        if head.close {
            return Ok(());
        }
    }
}

fn call(line: &[u8]) -> Call {
    let target = line.split(|b| *b == b' ').nth(1).unwrap_or_default();
    match target {
        b"/2018-06-01/runtime/invocation/next" => Call::Next,
        b"/2020-01-01/extension/register" => Call::Register,
        b"/2020-01-01/extension/event/next" => Call::Park,
        _ if target.ends_with(b"/error") => Call::Error,
        _ => match target
            .strip_suffix(b"/response")
            .and_then(|t| t.last_chunk::<DIGITS>())
        {
            Some(id) => Call::Response(id.iter().fold(0, |n, d| n * 10 + usize::from(*d - b'0'))),
            None => Call::Unknown,
        },
    }
}

fn response(conn: &mut Conn, head: &Head, ledger: &Ledger, id: usize) -> Result<()> {
    let keep = ledger.lock().keep;
    let (mut kept, mut first, mut nuls) = (Vec::new(), None, 0);
    let streamed = head.chunked;
    let length = conn.body(head, |piece| {
        // A streamed response is a prelude, eight NULs, and the body.
        if streamed && first.is_none() {
            for byte in piece {
                if nuls == 8 {
                    first = Some(Instant::now());
                    break;
                }
                nuls = if *byte == 0 { nuls + 1 } else { 0 };
            }
        }
        if keep {
            kept.extend_from_slice(piece);
        }
    })?;
    let now = Instant::now();
    ledger.finish(id, now, first, length, kept);
    conn.send(ACCEPTED)
}
