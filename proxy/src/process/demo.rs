//! Demo mode: an embedded store in the same process. Blobfish sends signed requests to it over loopback, as to any
//! target.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, bail};
use blobfish_config::{Config, OsSources};
use blobfish_store::{Location, Options, Store};
use secrecy::SecretString;

use crate::clock;
use crate::known_dialects::list_known_dialects_of_demo;

/// The credentials of every demo. They are public, but demo mode listens on loopback only.
const ACCESS_KEY: &str = "AKIDBLOBFISHDEMO0001";
const SECRET_KEY: &str = "blobfish-demo-secret-key";

/// The open store and its socket. Only this process knows the credentials of the store.
pub(crate) struct DemoStore {
    /// The store.
    pub store: Store,
    /// Its bound socket.
    pub socket: TcpListener,
    /// The text to print when the listeners are open.
    pub greeting: String,
}

/// The options of demo mode.
pub(crate) struct DemoOptions {
    /// Addresses of the data listeners; empty for the default ones.
    pub listen: Vec<SocketAddr>,
    /// Address of the admin listener.
    pub admin: SocketAddr,
    /// The folder of the objects.
    pub location: Location,
}

/// Opens the store and renders the configuration of a proxy for it.
///
/// # Errors
/// An address is not on loopback or in use, or the folder cannot be used.
pub(crate) fn prepare_demo(options: DemoOptions) -> anyhow::Result<(Config, DemoStore)> {
    let listen = choose_addresses(&options.listen)?;
    if !options.admin.ip().is_loopback() {
        bail!("Demo mode listens on loopback only, but --admin is {}.", options.admin);
    }
    let storage = match &options.location {
        Location::Memory => "memory".to_owned(),
        Location::Dir(folder) => folder.display().to_string(),
    };
    let (access_key, secret_key) = (format!("{:032x}", clock::random()), format!("{:032x}", clock::random()));
    let secret = SecretString::from(secret_key.clone());
    let store = Store::open(Options {
        location: options.location,
        access_key: access_key.clone(),
        secret_key: secret,
    })?;
    let socket = TcpListener::bind("127.0.0.1:0").context("the embedded store's socket")?;
    socket.set_nonblocking(true).context("the embedded store's socket")?;
    let text = render_demo_config(&listen, options.admin, socket.local_addr()?, &access_key, &secret_key);
    let known = list_known_dialects_of_demo();
    let config = blobfish_config::load(&text, &known, &OsSources).map_err(|mistakes| {
        anyhow::anyhow!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    let greeting = render_greeting(&listen, options.admin, &storage);
    Ok((config, DemoStore { store, socket, greeting }))
}

/// Returns the requested addresses, or port 9000 of both loopback addresses.
fn choose_addresses(requested: &[SocketAddr]) -> anyhow::Result<Vec<SocketAddr>> {
    if let Some(beyond) = requested.iter().find(|address| !address.ip().is_loopback()) {
        bail!(
            "Demo mode listens on loopback only, but --listen is {beyond}. Use a configuration file to serve other machines."
        );
    }
    if !requested.is_empty() {
        return Ok(requested.to_vec());
    }
    let mut addresses = vec![SocketAddr::from(([127, 0, 0, 1], 9000))];
    let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 9000));
    // A machine without IPv6 cannot listen on ::1, and the demo must start there too.
    if TcpListener::bind((std::net::Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.push(v6);
    }
    Ok(addresses)
}

/// Renders the configuration of the demo as a file, so that demo mode has no code path of its own.
fn render_demo_config(
    listen: &[SocketAddr],
    admin: SocketAddr,
    store: SocketAddr,
    access_key: &str,
    secret_key: &str,
) -> String {
    let listen = listen.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
    format!(
        r#"
        [listen]
        http = [{listen}]

        [admin]
        listen = "{admin}"

        [[target]]
        name = "demo"
        dialect = "s3"
        profile = "embedded"
        endpoint = "http://{store}"
        region = "us-east-1"
        addressing = "path"
        access_key = "{access_key}"
        secret_key = "{secret_key}"

        [[bucket]]
        name = "*"
        target = "demo"
        
        [[caller]]
        name = "demo"
        access_key = "{ACCESS_KEY}"
        secret_key = "{SECRET_KEY}"
        grants = [{{ buckets = ["*"], access = "admin" }}]
        "#
    )
}

fn render_greeting(listen: &[SocketAddr], admin: SocketAddr, place: &str) -> String {
    let first = listen.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9000)));
    let (port, all) =
        (first.port(), listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "));
    format!(
        r#"
Blobfish demo: objects in {place}, listening on {all}, console on http://{admin}/
Access key ID {ACCESS_KEY}, secret key {SECRET_KEY}, any bucket name, every dialect.
If your system does not resolve names below localhost, start the client with http_proxy=http://{first}

# S3, with aws
export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY} AWS_DEFAULT_REGION=us-east-1
aws --endpoint-url http://{first} s3 mb s3://first
echo hello | aws --endpoint-url http://{first} s3 cp - s3://first/one.txt
aws --endpoint-url http://{first} s3 cp s3://first/one.txt s3://first/two.txt

# S3, with boto3
import boto3
s3 = boto3.client("s3", endpoint_url="http://{first}", region_name="us-east-1",
                  aws_access_key_id="{ACCESS_KEY}", aws_secret_access_key="{SECRET_KEY}")
s3.create_bucket(Bucket="first")
s3.put_object(Bucket="first", Key="one.txt", Body=b"hello")
s3.copy_object(Bucket="first", Key="two.txt", CopySource="first/one.txt")

# COS, with cos-python-sdk-v5
from qcloud_cos import CosConfig, CosS3Client
cos = CosS3Client(CosConfig(Endpoint="cos.ap-guangzhou.localhost:{port}", Scheme="http",
                            SecretId="{ACCESS_KEY}", SecretKey="{SECRET_KEY}"))
cos.create_bucket(Bucket="second-1250000000")
cos.put_object(Bucket="second-1250000000", Key="one.txt", Body=b"hello")
cos.copy_object(Bucket="second-1250000000", Key="two.txt",
                CopySource={{"Bucket": "second-1250000000", "Key": "one.txt",
                            "Endpoint": "cos.ap-guangzhou.localhost:{port}"}})

# OSS, with oss2
import oss2
bucket = oss2.Bucket(oss2.Auth("{ACCESS_KEY}", "{SECRET_KEY}"),
                     "http://oss-cn-hangzhou.localhost:{port}", "third")
bucket.create_bucket()
bucket.put_object("one.txt", b"hello")
bucket.copy_object("third", "one.txt", "two.txt")
"#
    )
}
