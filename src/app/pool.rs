//! Idle connections to the app, shared by the threads of the loop.
//!
//! A server with few workers gives each to one connection until that is closed, so an idle
//! connection takes a worker from the requests of the other threads. It is therefore reused by
//! the next thread, closed when its time is up, and closed at once while a request waits in the
//! server's queue for a worker.
//!
//! Which request waits there? The queue of a listening socket is first in, first out
//! (listen(2)). So a request that has waited long for its response is there only if no
//! connection that was opened after its own has had a response.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::net::connection::Connection;

/// A response that takes longer may be waiting for a worker.
const QUEUED_AFTER: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Pool {
    /// How long an idle connection is kept.
    timeout: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they became idle.
    idle: Vec<IdleConnection>,
    /// New connections whose first response has not begun.
    waiting: Vec<Waiting>,
    /// The number of the last event: a connect that begins or ends.
    events: u64,
    /// The last connect, by the number of its beginning, that led to a response.
    responded: u64,
    /// Whether [`Pool::close_in_time`] waits for the first idle connection.
    is_idle: bool,
}

/// A connection between two exchanges.
#[derive(Debug)]
struct IdleConnection {
    connection: Connection,
    /// By both clocks: one stops while the machine is suspended, the other can be set back.
    since: (Instant, SystemTime),
}

#[derive(Debug)]
struct Waiting {
    /// The number of the end of its connect.
    connected: u64,
    since: Instant,
}

/// Held while a new connection waits for its first response.
#[derive(Debug)]
pub struct Ticket {
    pool: Arc<Pool>,
    connecting: u64,
    connected: u64,
}

impl Pool {
    pub fn new(timeout: Duration) -> Pool {
        Pool {
            timeout,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Whether connections are reused at all.
    pub fn reuses(&self) -> bool {
        !self.timeout.is_zero()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().idle.is_empty()
    }

    pub fn clear(&self) {
        self.lock().idle.clear();
    }

    /// The connection that became idle last, if it is not too old and the app has not closed it.
    pub fn take(&self) -> Option<Connection> {
        loop {
            let idle = self.lock().idle.pop()?;
            if idle.age() < self.timeout && idle.connection.is_reusable() {
                return Some(idle.connection);
            }
        }
    }

    /// Keeps the connection, or closes it where another request may need its worker.
    pub fn put(&self, connection: Connection) {
        let mut state = self.lock();
        if !self.reuses() || state.is_any_queued() {
            return;
        }
        state.idle.push(IdleConnection {
            connection,
            since: (Instant::now(), SystemTime::now()),
        });
        if state.is_idle {
            self.changed.notify_one();
        }
    }

    /// Runs `connect`. The ticket is dropped when the response has begun or failed.
    pub fn open<E>(
        self: &Arc<Pool>,
        connect: impl FnOnce() -> Result<Connection, E>,
    ) -> Result<(Connection, Ticket), E> {
        let connecting = self.lock().next_event();
        let connection = connect()?;
        let mut state = self.lock();
        let connected = state.next_event();
        state.waiting.push(Waiting {
            connected,
            since: Instant::now(),
        });
        self.changed.notify_one();
        let ticket = Ticket {
            pool: Arc::clone(self),
            connecting,
            connected,
        };
        Ok((connection, ticket))
    }

    /// Closes idle connections when their time is up, and when a request is in the server's
    /// queue. Needed with several threads: all others may be blocked in `/next` then.
    pub fn close_in_time(&self) -> ! {
        let mut state = self.lock();
        loop {
            if state.is_any_queued() {
                state.idle.clear();
            }
            state.idle.retain(|idle| idle.age() < self.timeout);
            let expiries = state
                .idle
                .iter()
                .map(|idle| self.timeout.saturating_sub(idle.age()));
            let waiting = state.waiting.iter();
            let checks = waiting.filter_map(|waiting| QUEUED_AFTER.checked_sub(waiting.age()));
            let next = expiries.chain(checks).min();
            state.is_idle = next.is_none();
            let next = next.unwrap_or(Duration::MAX);
            let woken = self.changed.wait_timeout(state, next);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    fn is_any_queued(&self) -> bool {
        self.waiting
            .iter()
            .any(|waiting| waiting.connected > self.responded && waiting.age() >= QUEUED_AFTER)
    }
}

impl IdleConnection {
    fn age(&self) -> Duration {
        let by_wall_clock = self.since.1.elapsed().unwrap_or(Duration::MAX);
        self.since.0.elapsed().max(by_wall_clock)
    }
}

impl Waiting {
    fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Ticket {
    /// The response has begun.
    pub fn responded(self) {
        let mut state = self.pool.lock();
        state.responded = state.responded.max(self.connecting);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        let connected = self.connected;
        state
            .waiting
            .retain(|waiting| waiting.connected != connected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    fn pool(timeout: Duration) -> (Arc<Pool>, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        (Arc::new(Pool::new(timeout)), listener)
    }

    fn open(pool: &Arc<Pool>, to: &TcpListener) -> (Connection, Ticket) {
        let connect = || -> io::Result<Connection> {
            Ok(Connection::new(TcpStream::connect(to.local_addr()?)?))
        };
        pool.open(connect).expect("a connection")
    }

    fn is_kept(pool: &Pool, connection: Connection) -> bool {
        pool.clear();
        pool.put(connection);
        !pool.is_empty()
    }

    #[test]
    fn a_connection_is_closed_while_a_request_is_in_the_queue() {
        let (pool, listener) = pool(Duration::from_secs(9));
        let (first, ticket) = open(&pool, &listener);
        ticket.responded();
        let (_second, ticket) = open(&pool, &listener);
        assert!(is_kept(&pool, first));
        thread::sleep(QUEUED_AFTER);
        let first = pool.take().expect("an idle connection");
        assert!(!is_kept(&pool, first));
        ticket.responded();
        assert!(is_kept(&pool, open(&pool, &listener).0));
    }

    #[test]
    fn a_slow_request_is_not_in_the_queue_once_a_later_one_has_a_response() {
        let (pool, listener) = pool(Duration::from_secs(9));
        let (_slow, _ticket) = open(&pool, &listener);
        thread::sleep(QUEUED_AFTER);
        let (later, ticket) = open(&pool, &listener);
        ticket.responded();
        assert!(is_kept(&pool, later));
    }

    #[test]
    fn the_timeout_closes_and_zero_keeps_none() {
        let (pool, listener) = pool(Duration::ZERO);
        assert!(!is_kept(&pool, open(&pool, &listener).0));
        let (pool, listener) = self::pool(Duration::from_nanos(1));
        assert!(is_kept(&pool, open(&pool, &listener).0));
        assert!(pool.take().is_none());
    }
}
