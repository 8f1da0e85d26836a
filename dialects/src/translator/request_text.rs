//! Reads a pasted request: the text of an HTTP request, or a `curl` command.

use crate::model::{ErrorKind, RawHead, Rejection};

/// A pasted request.
#[derive(Debug, Clone)]
pub struct PastedRequest {
    /// Its head.
    pub head: RawHead,
    /// Its body; `None` if the text ends after the head.
    pub body: Option<Vec<u8>>,
}

/// Reads the text of an HTTP request, or a `curl` command.
///
/// # Errors
/// `InvalidRequest` if it is neither.
pub fn parse_pasted_request(text: &str) -> Result<PastedRequest, Rejection> {
    let text = text.trim_start();
    if let Some(arguments) = text.strip_prefix("curl").filter(|rest| rest.starts_with(char::is_whitespace)) {
        return parse_curl_command(arguments);
    }
    let head = parse_request_head(text).ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::InvalidRequest,
            "The text is neither an HTTP request nor a curl command.",
        )
    })?;
    let body = find_body(text, &head);
    Ok(PastedRequest { head, body })
}

/// Reads the head of a request: a request line, headers, and an empty line or the end of the text.
pub fn parse_request_head(text: &str) -> Option<RawHead> {
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let mut words = lines.next()?.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    for line in lines.take_while(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':')?;
        // The proxy's HTTP parser also returns lower-case names, so tables and lookups only have these.
        headers.push((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
    }
    Some(build_head(method, target, headers))
}

fn build_head(method: String, target: &str, headers: Vec<(String, Vec<u8>)>) -> RawHead {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    RawHead {
        method,
        path: path.to_owned(),
        query: query.map(str::to_owned).into(),
        headers,
        over_tls: false,
    }
}

/// Returns the text after the first empty line, up to the length in the head.
fn find_body(text: &str, head: &RawHead) -> Option<Vec<u8>> {
    let mut rest = text;
    let body = loop {
        let Some((line, after)) = rest.split_once('\n') else { break "" };
        rest = after;
        if line.trim().is_empty() {
            break rest;
        }
    };
    match head.header_text("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(0) => Some(Vec::new()),
        // Documents and logs often have only the head.
        _ if body.trim().is_empty() => None,
        Some(length) => Some(body.bytes().take(length).collect()),
        // A text editor ends the last line with a line break that is not part of the body.
        None => Some(body.trim_end_matches(['\r', '\n']).as_bytes().to_vec()),
    }
}

/// Options of curl that have a value but do not affect the translation: credentials, connections, output.
const IGNORED_WITH_VALUE: &[&str] = &[
    "-u",
    "--user",
    "-o",
    "--output",
    "-A",
    "--user-agent",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--resolve",
    "--connect-to",
    "--cacert",
    "--capath",
    "-E",
    "--cert",
    "--key",
    "-x",
    "--proxy",
    "--proxy-user",
    "--aws-sigv4",
    "-w",
    "--write-out",
    "-b",
    "--cookie",
    "-c",
    "--cookie-jar",
    "-e",
    "--referer",
    "--retry",
    "--retry-delay",
    "-D",
    "--dump-header",
    "--limit-rate",
    "-r",
    "--range",
    "--interface",
    "--cert-type",
    "--ciphers",
    "--stderr",
    "--trace",
    "-U",
    "-K",
    "--config",
    "-C",
    "--continue-at",
    "-z",
    "--time-cond",
    "-y",
    "--speed-time",
    "-Y",
    "--speed-limit",
    "-Q",
    "--quote",
    "-P",
    "--ftp-port",
    "-t",
    "--telnet-option",
    "--oauth2-bearer",
    "--pass",
    "--proxy-header",
    "--noproxy",
    "--max-redirs",
    "--retry-max-time",
    "--unix-socket",
    "--abstract-unix-socket",
    "--key-type",
    "--crlfile",
    "--pinnedpubkey",
    "--tls-max",
    "--tls13-ciphers",
    "--curves",
    "--dns-servers",
    "--dns-interface",
    "--dns-ipv4-addr",
    "--dns-ipv6-addr",
    "--local-port",
    "--keepalive-time",
    "--max-filesize",
    "--preproxy",
    "--proxy1.0",
    "--socks4",
    "--socks4a",
    "--socks5",
    "--socks5-hostname",
    "--socks5-gssapi-service",
    "--proxy-cacert",
    "--proxy-capath",
    "--proxy-cert",
    "--proxy-cert-type",
    "--proxy-ciphers",
    "--proxy-crlfile",
    "--proxy-key",
    "--proxy-key-type",
    "--proxy-pass",
    "--proxy-pinnedpubkey",
    "--proxy-service-name",
    "--proxy-tls13-ciphers",
    "--proxy-tlsauthtype",
    "--proxy-tlspassword",
    "--proxy-tlsuser",
    "--trace-ascii",
    "--trace-config",
    "--output-dir",
    "--create-file-mode",
    "--doh-url",
    "--egd-file",
    "--engine",
    "--random-file",
    "--expect100-timeout",
    "--happy-eyeballs-timeout-ms",
    "--hostpubmd5",
    "--hostpubsha256",
    "--krb",
    "--login-options",
    "--mail-from",
    "--mail-rcpt",
    "--mail-auth",
    "--netrc-file",
    "--proto",
    "--proto-default",
    "--proto-redir",
    "--parallel-max",
    "--rate",
    "--sasl-authzid",
    "--service-name",
    "--delegation",
    "--tlsauthtype",
    "--tlsuser",
    "--tlspassword",
    "--haproxy-clientip",
    "--alt-svc",
    "--hsts",
    "--etag-compare",
    "--etag-save",
    "--libcurl",
    "--pubkey",
    "--ipfs-gateway",
    "--variable",
    "--ech",
];

/// The options that have been read from a curl command.
#[derive(Default)]
struct CurlCommand {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    data: Vec<String>,
    /// Whether the body is in a file, which is not read.
    reads_file: bool,
    upload: Option<String>,
    is_head: bool,
    is_get: bool,
}

fn parse_curl_command(arguments: &str) -> Result<PastedRequest, Rejection> {
    let words = split_shell_words(arguments)
        .ok_or_else(|| reject_curl("The curl command has a quote that is not closed."))?;
    let mut words = words.into_iter();
    let mut command = CurlCommand::default();
    while let Some(word) = words.next() {
        match word.strip_prefix("--") {
            Some(name) if !name.is_empty() => {
                let (name, attached) = word
                    .split_once('=')
                    .map_or((word.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
                if has_value(name) {
                    let value = attached.or_else(|| words.next());
                    command.apply_option(name, value.ok_or_else(|| reject_missing_value(name))?)?;
                } else {
                    command.apply_flag(name);
                }
            }
            _ if word.starts_with('-') && word.len() > 1 => {
                command.apply_short_options(&word, &mut words)?;
            }
            // curl sends one request per URL; only the first one is translated.
            _ => command.url = command.url.or(Some(word)),
        }
    }
    command.build_request()
}

fn has_value(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "-X",
        "--request",
        "-H",
        "--header",
        "-d",
        "--data",
        "--data-ascii",
        "--data-binary",
        "--data-raw",
        "--data-urlencode",
        "--json",
        "-T",
        "--upload-file",
        "--url",
        "-F",
        "--form",
        "--form-string",
    ];
    NAMES.contains(&name) || IGNORED_WITH_VALUE.contains(&name)
}

fn reject_curl(message: impl Into<String>) -> Rejection {
    Rejection::with_message(ErrorKind::InvalidRequest, message.into())
}

fn reject_missing_value(name: &str) -> Rejection {
    reject_curl(format!("The option {name} of the curl command has no value."))
}

impl CurlCommand {
    /// Several short options may be in one argument, and the last one may have its value in it: `-sXPUT`.
    fn apply_short_options(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), Rejection> {
        let mut letters = word.chars().skip(1);
        while let Some(letter) = letters.next() {
            let name = format!("-{letter}");
            if has_value(&name) {
                let attached: String = letters.by_ref().collect();
                let value = if attached.is_empty() { words.next() } else { Some(attached) };
                self.apply_option(&name, value.ok_or_else(|| reject_missing_value(&name))?)?;
            } else {
                self.apply_flag(&name);
            }
        }
        Ok(())
    }

    fn apply_option(&mut self, name: &str, value: String) -> Result<(), Rejection> {
        match name {
            "-X" | "--request" => self.method = Some(value),
            "--url" => self.url = Some(value),
            "-T" | "--upload-file" => self.upload = Some(value),
            "-r" | "--range" => {
                self.headers.push(("range".to_owned(), format!("bytes={value}").into_bytes()))
            }
            "-H" | "--header" => self.apply_header(&value),
            "-F" | "--form" | "--form-string" | "--data-urlencode" => {
                // The body of these options depends on a generated boundary or on encoding rules of curl.
                return Err(reject_curl(format!(
                    "The curl option {name} is not supported. Paste the HTTP request instead."
                )));
            }
            "-d" | "--data" | "--data-ascii" | "--data-binary" | "--data-raw" | "--json" => {
                // The file is on the machine of the person who pasted the command.
                if value.starts_with('@') && name != "--data-raw" {
                    self.reads_file = true;
                } else {
                    self.data.push(value);
                }
                if name == "--json" {
                    self.apply_header("Content-Type: application/json");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn apply_flag(&mut self, name: &str) {
        match name {
            "-I" | "--head" => self.is_head = true,
            "-G" | "--get" => self.is_get = true,
            _ => {}
        }
    }

    /// `name;` is a header without a value, `name:` removes one.
    fn apply_header(&mut self, text: &str) {
        let header = text.split_once(':').filter(|(_, value)| !value.trim().is_empty());
        if let Some((name, value)) = header.or_else(|| text.strip_suffix(';').map(|name| (name, ""))) {
            self.headers.push((name.trim().to_ascii_lowercase(), value.trim().as_bytes().to_vec()));
        }
    }

    fn build_request(mut self) -> Result<PastedRequest, Rejection> {
        let url = self.url.take().ok_or_else(|| reject_curl("The curl command has no URL."))?;
        let address = url.split_once("://").map_or(url.as_str(), |(_, address)| address);
        // A fragment is never sent.
        let address = address.split('#').next().unwrap_or(address);
        let authority_end = address.find(['/', '?']).unwrap_or(address.len());
        let (authority, rest) = address.split_at_checked(authority_end).unwrap_or((address, ""));
        // The text before `@` is a user name and password, which curl sends in a header.
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let mut target = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        if let Some(file) = self.upload.as_deref().filter(|_| target.ends_with('/')) {
            // curl appends the name of the file.
            target.push_str(file.rsplit('/').next().unwrap_or(file));
        }
        let data = (!self.data.is_empty()).then(|| self.data.join("&"));
        if let Some(query) = data.as_deref().filter(|_| self.is_get) {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(query);
        }
        let body = data.filter(|_| !self.is_get && !self.reads_file).map(String::into_bytes);
        let has_data = body.is_some() || (self.reads_file && !self.is_get);
        let default_method = match () {
            () if self.upload.is_some() => "PUT",
            () if self.is_head => "HEAD",
            () if has_data => "POST",
            () => "GET",
        };
        let has_header = |name: &str| self.headers.iter().any(|row| row.0 == name);
        let mut added = Vec::new();
        if !has_header("host") {
            added.push(("host".to_owned(), host.as_bytes().to_vec()));
        }
        // curl adds these three headers itself, and the content type has an effect on the object.
        if has_data && self.upload.is_none() && !has_header("content-type") {
            added.push(("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec()));
        }
        if let Some(body) = body.as_ref().filter(|_| !has_header("content-length")) {
            added.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
        }
        added.append(&mut self.headers);
        let method = self.method.unwrap_or_else(|| default_method.to_owned());
        Ok(PastedRequest { head: build_head(method, &target, added), body })
    }
}

/// Splits a command into arguments as a shell does: quotes, escaped characters, lines that continue after a
/// backslash. `None`: a quote is not closed.
fn split_shell_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('\n') | None => {}
                Some('\r') if characters.peek() == Some(&'\n') => drop(characters.next()),
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            '\'' => loop {
                match characters.next()? {
                    '\'' => break word.get_or_insert_default().push_str(""),
                    inner => word.get_or_insert_default().push(inner),
                }
            },
            '"' => loop {
                match characters.next()? {
                    '"' => break word.get_or_insert_default().push_str(""),
                    '\\' => match characters.next()? {
                        '\n' => {}
                        escaped @ ('"' | '\\' | '$' | '`') => word.get_or_insert_default().push(escaped),
                        other => word.get_or_insert_default().extend(['\\', other]),
                    },
                    inner => word.get_or_insert_default().push(inner),
                }
            },
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> PastedRequest {
        parse_pasted_request(text).unwrap()
    }

    #[test]
    fn curl_commands_are_read_as_curl_sends_them() {
        let put =
            parse("curl -sS -X PUT 'https://b.example/k?acl' \\\n -H 'X-Amz-Acl: private' --user me:secret");
        assert_eq!((put.head.method.as_str(), put.head.path.as_str()), ("PUT", "/k"));
        assert_eq!(put.head.query.as_deref(), Some("acl"));
        assert_eq!(put.head.header_text("x-amz-acl"), Some("private"));
        assert_eq!((put.head.header_text("host"), put.body), (Some("b.example"), None));
        let post = parse(r#"curl --url http://b.example -d "a\"b" --data-binary 'c d' -o out"#);
        assert_eq!((post.head.method.as_str(), post.head.path.as_str()), ("POST", "/"));
        assert_eq!(post.body.as_deref(), Some(b"a\"b&c d".as_slice()));
        assert_eq!(post.head.header_text("content-length"), Some("7"));
        assert_eq!(post.head.header_text("content-type"), Some("application/x-www-form-urlencoded"));
        let upload =
            parse("curl -sXPUT -T folder/cat.jpg http://b.example/pictures/ -H 'Host: other.example'");
        assert_eq!((upload.head.path.as_str(), upload.body), ("/pictures/cat.jpg", None));
        assert_eq!(upload.head.header_text("host"), Some("other.example"));
        assert_eq!(parse("curl -I http://b.example/k").head.method, "HEAD");
        assert!(parse_pasted_request("curl -X").is_err() && parse_pasted_request("curl 'http://b").is_err());
        assert!(parse_pasted_request("curl -F file=@a http://b.example").is_err());
        for option in ["-U user:secret", "--oauth2-bearer secret", "--proxy-header secret", "--pass secret"] {
            let pasted = parse(&format!("curl {option} https://b.example/k"));
            assert_eq!((pasted.head.host(), pasted.head.path.as_str()), ("b.example", "/k"), "{option}");
        }
    }

    #[test]
    fn a_body_follows_the_empty_line() {
        let head = "PUT /k?tagging HTTP/1.1\nHost: b.example\n";
        assert_eq!(parse(head).body, None);
        assert_eq!(parse(&format!("{head}\n\n")).body, None);
        assert_eq!(parse(&format!("{head}\n<a>\n</a>\n")).body.as_deref(), Some(b"<a>\n</a>".as_slice()));
        assert_eq!(
            parse(&format!("{head}Content-Length: 3\r\n\r\n<a/>")).body.as_deref(),
            Some(b"<a/".as_slice())
        );
        assert_eq!(parse(&format!("{head}Content-Length: 0\n")).body.as_deref(), Some(b"".as_slice()));
        assert!(parse_pasted_request("nonsense").is_err());
    }
}
