//! Serves a store on a loopback port: `serve PORT [DIR]`, in memory without a directory. Prints the address.

use blobfish_store::{Location, Options, Store};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().unwrap_or_else(|| "0".to_owned()).parse()?;
    let location = arguments.next().map_or(Location::Memory, |folder| Location::Dir(folder.into()));
    let options = Options { location, access_key: "AKDEMO".to_owned(), secret_key: "demo-secret".into() };
    let store = Arc::new(Store::open(options)?);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    use std::io::Write as _;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    store.serve(listener, async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
