//! The listening sockets: inherited from the previous process or from a supervisor, or bound here, and duplicated for
//! the next process.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, anyhow};
use async_trait::async_trait;
use command_fds::FdMapping;
use listenfd::ListenFd;
use pingora::apps::ServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service as Startable;
use pingora::services::listening::Service;
use tokio::sync::watch;

use crate::target::socket_options::limit_unsent_bytes;

/// The descriptor number of the first inherited socket (`SD_LISTEN_FDS_START` of systemd).
const FIRST_FD: i32 = 3;

/// The sockets of this process, by configured address.
#[derive(Default)]
pub(crate) struct Sockets(Mutex<BTreeMap<SocketAddr, TcpListener>>);

/// The sockets that this process inherited by systemd's protocol (`LISTEN_FDS`).
pub(crate) struct InheritedSockets(Vec<TcpListener>);

impl InheritedSockets {
    /// Takes the inherited sockets. This changes the environment, so call it before the first thread starts.
    ///
    /// # Errors
    /// One of them is not a listening TCP socket.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let mut listen_fds = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..listen_fds.len() {
            let socket = listen_fds.take_tcp_listener(index).context("cannot use an inherited socket")?;
            sockets.extend(socket);
        }
        Ok(Self(sockets))
    }
}

impl Sockets {
    /// Opens one socket for each address, and uses inherited sockets if there are any.
    ///
    /// # Errors
    /// An address is in use, or does not belong to this machine.
    pub(crate) fn open(addresses: &[SocketAddr], inherited: InheritedSockets) -> anyhow::Result<Self> {
        let mut inherited_by_address: BTreeMap<_, _> =
            inherited.0.into_iter().filter_map(|socket| Some((socket.local_addr().ok()?, socket))).collect();
        let mut sockets = BTreeMap::new();
        for &address in addresses {
            let socket = match inherited_by_address.remove(&address) {
                Some(socket) => socket,
                None => TcpListener::bind(address)
                    .map_err(|error| anyhow!("cannot listen on {address}: {error}"))?,
            };
            limit_unsent_bytes(&socket).with_context(|| address.to_string())?;
            // The async runtime requires non-blocking sockets, and an inherited one may be blocking.
            socket.set_nonblocking(true).with_context(|| address.to_string())?;
            sockets.insert(address, socket);
        }
        for address in inherited_by_address.keys() {
            tracing::info!("closed the inherited socket {address}, which is not in the configuration");
        }
        Ok(Self(Mutex::new(sockets)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, TcpListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Duplicates the sockets for another process, with the descriptor numbers that it expects.
    ///
    /// # Errors
    /// The process has too many open files.
    pub(crate) fn duplicate(&self) -> io::Result<Vec<FdMapping>> {
        let to_mapping = |(socket, child_fd): (&TcpListener, i32)| {
            Ok(FdMapping { parent_fd: socket.try_clone()?.into(), child_fd })
        };
        self.lock().values().zip(FIRST_FD..).map(to_mapping).collect()
    }

    /// Closes the sockets of this process. An open socket would still queue connections that no process accepts.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    /// Passes duplicates of a service's sockets to Pingora.
    fn add_to_listen_fds(&self, addresses: &[String], table: &ListenFds) {
        for (address, socket) in self.lock().iter() {
            let address = address.to_string();
            match socket.try_clone() {
                Ok(socket) if addresses.contains(&address) => {
                    table.lock().add(address, socket.into_raw_fd());
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "cannot duplicate a socket"),
            }
        }
    }
}

/// A Pingora service on sockets that are already open.
pub(crate) struct ListeningService<A> {
    /// The service.
    pub service: Service<A>,
    /// The sockets.
    pub sockets: Arc<Sockets>,
    /// The number of services that accept connections.
    pub accepting_services: Arc<watch::Sender<usize>>,
    /// When the service stops, if not together with the data listeners.
    pub shutdown: Option<ShutdownWatch>,
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Startable for ListeningService<A> {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, tasks_per_fd: usize) {
        if let (Some(table), Some(addresses)) = (&fds, self.service.listen_addresses()) {
            self.sockets.add_to_listen_fds(&addresses, table);
        }
        let shutdown = self.shutdown.clone().unwrap_or(shutdown);
        let mut serving = self.service.start_service(fds, shutdown, tasks_per_fd);
        // The first poll opens the sockets and starts to accept connections; Pingora panics if it cannot.
        tokio::select! {
            biased;
            () = &mut serving => return,
            () = std::future::ready(()) => {}
        }
        self.accepting_services.send_modify(|standing| *standing += 1);
        serving.await;
    }

    fn name(&self) -> &str {
        self.service.name()
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inherited_sockets_are_used_and_missing_ones_are_bound() {
        let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
        let unnamed = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, other) = (inherited.local_addr().unwrap(), unnamed.local_addr().unwrap());
        assert!(Sockets::open(&[address], InheritedSockets(Vec::new())).is_err(), "the address is in use");
        let sockets = Sockets::open(&[address], InheritedSockets(vec![inherited, unnamed])).unwrap();
        assert_eq!(sockets.duplicate().unwrap().len(), 1);
        assert!(TcpListener::bind(address).is_err(), "the socket is open");
        assert!(TcpListener::bind(other).is_ok(), "an inherited socket that is not configured is closed");
        sockets.close();
        assert!(TcpListener::bind(address).is_ok());
    }
}
