//! The idle connections to targets, for reuse by later requests.
//!
//! Pingora's own pool watches each idle connection with a task, which costs two wake-ups and a system call for every
//! request. Here an idle connection is examined when it is taken, and all of them once per second.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use pingora::protocols::Stream;
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;

/// How long a connection may be idle. Shorter than that of any vendor, so that few of them are closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// How often closed and outdated connections are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What connections must have in common to be interchangeable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    /// The target with its TLS settings.
    pub group_key: u64,
    /// The remote address.
    pub address: SocketAddr,
    /// With TLS the name that the certificate was verified for.
    pub tls_host: Option<String>,
}

/// The idle connections to all targets.
pub(crate) struct ConnectionPool {
    idle: Mutex<IdleConnections>,
    count_max: usize,
    is_sweeping: AtomicBool,
}

#[derive(Default)]
struct IdleConnections {
    /// The connections of each key, the one that was used last at the end. No list is empty.
    by_key: HashMap<PoolKey, Vec<IdleConnection>>,
    count: usize,
}

struct IdleConnection {
    stream: Stream,
    since: Instant,
}

impl ConnectionPool {
    /// Creates an empty pool for at most `count_max` idle connections.
    pub(crate) fn new(count_max: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), count_max, is_sweeping: AtomicBool::new(false) })
    }

    /// Takes the connection that was used last. Connections that the target has closed, or sent bytes on, are closed.
    pub(crate) fn take(&self, key: &PoolKey) -> Option<Stream> {
        let now = Instant::now();
        loop {
            let mut connection = self.lock_idle().pop_newest(key)?;
            if connection.is_usable(now) {
                return Some(connection.stream);
            }
        }
    }

    /// Adds a connection after a complete exchange. If the pool is full, the connection that has been idle for longest is
    /// closed instead.
    pub(crate) fn put(self: &Arc<Self>, key: PoolKey, stream: Stream) {
        let mut connection = IdleConnection { stream, since: Instant::now() };
        if !connection.is_usable(connection.since) {
            return;
        }
        self.start_sweeping();
        let mut idle = self.lock_idle();
        // Closed after the lock is released: closing a connection is a system call.
        let oldest = if idle.count >= self.count_max { idle.pop_oldest() } else { None };
        if idle.count < self.count_max {
            idle.push(key, connection);
        }
        drop(idle);
        drop(oldest);
    }

    /// Removes the connections that cannot be used any more.
    fn sweep(&self) {
        let mut unusable = Vec::new();
        let now = Instant::now();
        let mut idle = self.lock_idle();
        for connections in idle.by_key.values_mut() {
            unusable.extend(connections.extract_if(.., |connection| !connection.is_usable(now)));
        }
        idle.by_key.retain(|_, connections| !connections.is_empty());
        idle.count = idle.count.saturating_sub(unusable.len());
        drop(idle);
        drop(unusable);
    }

    /// Starts the task that sweeps the pool, on the first call.
    fn start_sweeping(self: &Arc<Self>) {
        if self.is_sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        // A strong reference would keep the pool and its task alive forever.
        let weak_pool = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                sleep(SWEEP_INTERVAL).await;
                let Some(pool) = weak_pool.upgrade() else { return };
                pool.sweep();
            }
        });
    }

    fn lock_idle(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleConnections {
    fn push(&mut self, key: PoolKey, connection: IdleConnection) {
        self.by_key.entry(key).or_default().push(connection);
        self.count = self.count.saturating_add(1);
    }

    fn pop_newest(&mut self, key: &PoolKey) -> Option<IdleConnection> {
        let connections = self.by_key.get_mut(key)?;
        let newest = connections.pop();
        if connections.is_empty() {
            self.by_key.remove(key);
        }
        self.count = self.count.saturating_sub(usize::from(newest.is_some()));
        newest
    }

    fn pop_oldest(&mut self) -> Option<IdleConnection> {
        let (key, _) = self.by_key.iter().min_by_key(|(_, list)| list.first().map(|oldest| oldest.since))?;
        let key = key.clone();
        let connections = self.by_key.get_mut(&key)?;
        let oldest = (!connections.is_empty()).then(|| connections.remove(0));
        if connections.is_empty() {
            self.by_key.remove(&key);
        }
        self.count = self.count.saturating_sub(usize::from(oldest.is_some()));
        oldest
    }
}

impl IdleConnection {
    /// Whether the target has neither closed the connection nor sent bytes that no request asked for. The next client
    /// would get such bytes as its response.
    fn is_usable(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= IDLE_TIMEOUT {
            return false;
        }
        // Without `unconstrained` the read could be pending although bytes have arrived.
        let mut byte = [0_u8];
        tokio::task::unconstrained(self.stream.read(&mut byte)).now_or_never().is_none()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A connection and the other end of it.
    async fn connect() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Box::new(pingora::protocols::l4::stream::Stream::from(client)), listener.accept().await.unwrap().0)
    }

    fn key(group_key: u64) -> PoolKey {
        PoolKey { group_key, address: "127.0.0.1:1".parse().unwrap(), tls_host: None }
    }

    async fn wait_for_delivery() {
        sleep(Duration::from_millis(50)).await;
    }

    #[tokio::test]
    async fn only_open_and_silent_connections_of_the_same_key_are_reused() {
        let pool = ConnectionPool::new(8);
        let (open, _open_end) = connect().await;
        let (closed, closed_end) = connect().await;
        let (noisy, mut noisy_end) = connect().await;
        for stream in [open, closed, noisy] {
            pool.put(key(1), stream);
        }
        assert!(pool.take(&key(2)).is_none());
        assert!(pool.take(&PoolKey { tls_host: Some("a".to_owned()), ..key(1) }).is_none());
        drop(closed_end);
        noisy_end.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        wait_for_delivery().await;
        assert!(pool.take(&key(1)).is_some());
        assert!(pool.take(&key(1)).is_none(), "the other two are not usable");
        assert!(pool.lock_idle().by_key.is_empty());
        assert_eq!(pool.lock_idle().count, 0);
    }

    #[tokio::test]
    async fn bytes_that_arrive_before_the_release_close_the_connection() {
        let pool = ConnectionPool::new(8);
        let (stream, mut end) = connect().await;
        end.write_all(b"x").await.unwrap();
        wait_for_delivery().await;
        pool.put(key(1), stream);
        assert!(pool.take(&key(1)).is_none());
    }

    #[tokio::test]
    async fn a_full_pool_closes_the_oldest_connection() {
        let pool = ConnectionPool::new(2);
        let mut ends = Vec::new();
        for number in 0..3 {
            let (stream, end) = connect().await;
            pool.put(key(number), stream);
            ends.push(end);
        }
        assert!(pool.take(&key(0)).is_none());
        assert!(pool.take(&key(1)).is_some() && pool.take(&key(2)).is_some());
        let none = ConnectionPool::new(0);
        none.put(key(1), connect().await.0);
        assert!(none.take(&key(1)).is_none());
    }

    #[tokio::test]
    async fn closed_connections_are_swept() {
        let pool = ConnectionPool::new(8);
        let (stream, end) = connect().await;
        let (other, _other_end) = connect().await;
        pool.put(key(1), stream);
        pool.put(key(2), other);
        drop(end);
        wait_for_delivery().await;
        pool.sweep();
        assert_eq!(pool.lock_idle().count, 1);
        assert!(pool.take(&key(2)).is_some());
    }
}
