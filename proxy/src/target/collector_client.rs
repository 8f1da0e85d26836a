//! The connection to the trace collector. The collector is not a target, but is connected to in the same way, with the
//! DNS cache and Pingora's HTTP/1.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use blobfish_config::Endpoint;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::{HttpPeer, Peer as _};

use crate::target::credential_fetch::{FetchError, send_and_read};
use crate::target::dns::{DnsCache, SystemDns};
use crate::telemetry::exporter::{Collector, EXPORT_TIME_MAX, ExportError, ExportTransport};

/// Maximum size of a collector's response.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// How long an idle connection is kept for the next export.
const POOL_IDLE_MAX: Duration = Duration::from_secs(30);

/// How long the addresses of a collector are cached.
const DNS_CACHE_TIME: Duration = Duration::from_secs(30);

/// Sends exports to trace collectors.
pub(crate) struct CollectorClient {
    connector: TransportConnector,
    resolver: DnsCache,
}

impl CollectorClient {
    /// Creates the client without connecting.
    pub(crate) fn new() -> Self {
        // One idle connection is enough, because exports are sent one after the other.
        let connector = TransportConnector::new(Some(ConnectorOptions::new(1)));
        Self { connector, resolver: DnsCache::new(SystemDns) }
    }
}

#[async_trait]
impl ExportTransport for CollectorClient {
    async fn post(
        &self,
        collector: &Collector,
        header: RequestHeader,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), ExportError> {
        let Endpoint { tls, host, port, .. } = &collector.endpoint;
        let address = self.resolver.resolve(host, *port, DNS_CACHE_TIME).await.first().copied();
        let mut peer =
            HttpPeer::new(address.ok_or(ExportError::Unavailable("no address"))?, *tls, host.clone());
        peer.group_key = collector.group_key;
        peer.options.ca = collector.ca.as_ref().map(Arc::clone);
        peer.options.connection_timeout = Some(EXPORT_TIME_MAX);
        peer.options.total_connection_timeout = Some(EXPORT_TIME_MAX);
        peer.options.idle_timeout = Some(POOL_IDLE_MAX);
        let connected = self.connector.get_stream(&peer).await;
        let (stream, _) = connected.map_err(|_| ExportError::Unavailable("no connection"))?;
        let mut session = HttpSession::new_with_options(stream, &peer);
        let exchanged = send_and_read(&mut session, header, body, RESPONSE_BYTES_MAX).await;
        let (status, response) = exchanged.map_err(|why| match why {
            FetchError::ConnectionBroken => ExportError::Unavailable("the connection broke"),
            FetchError::TooLarge(status) => ExportError::Rejected(status.as_u16()),
        })?;
        session.respect_keepalive();
        if let Some(stream) = session.reuse().await {
            self.connector.release_stream(stream, peer.reuse_hash(), Some(POOL_IDLE_MAX));
        }
        Ok((status.as_u16(), response))
    }
}
