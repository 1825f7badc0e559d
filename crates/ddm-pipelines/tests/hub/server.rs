//! A hub on this machine, which keeps count.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{fs, thread};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const REPOSITORY: &str = "someone/model";

/// What the hub has, and what is wrong with it.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The token that it wants.
    pub(crate) token: Option<&'static str>,
    /// The status of all answers, if it is none of success.
    pub(crate) status: Option<u16>,
    /// A file of which only half is sent, so many times.
    pub(crate) cut: Option<(&'static str, usize)>,
    /// A file of which the listing says another size.
    pub(crate) lies: Option<&'static str>,
    /// What stands in place of the commit.
    pub(crate) commit: Option<&'static str>,
    /// Whether safetensors are on another server.
    pub(crate) redirects: bool,
}

impl Model {
    /// The files of a directory, by their paths in it.
    pub(crate) fn of(directory: &Path) -> Self {
        let mut files = BTreeMap::new();
        add(directory, "", &mut files);
        Self { files, ..Self::default() }
    }

    pub(crate) fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.insert(name.to_owned(), bytes.to_vec());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.files.remove(name).expect("it is there");
        self
    }
}

fn add(directory: &Path, within: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{within}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => add(&path, &(name + "/"), files),
            false => drop(files.insert(name, fs::read(path).unwrap())),
        }
    }
}

/// A request: its path, where its range begins, and whether it has a token.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) from: usize,
    pub(crate) token: Option<String>,
}

/// The server; it ends with the test.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(crate) fn new(mut model: Model) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, address) = (asked.clone(), endpoint.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away is no failure of the server.
                let _ = answer(stream.unwrap(), &address, &mut model, &log);
            }
        });
        Self { endpoint, asked }
    }

    /// Returns the requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// Returns the files of these requests, each once; the listing is `*`.
    pub(crate) fn files_asked(&self) -> Vec<String> {
        let start = format!("/{REPOSITORY}/resolve/{COMMIT}/");
        let names = self.asked().into_iter().map(|it| match it.path.strip_prefix(&start) {
            Some(file) => file.to_owned(),
            None if it.path.starts_with("/api/models/") => "*".to_owned(),
            None => it.path,
        });
        let mut names: Vec<String> = names.filter(|it| !it.starts_with("/elsewhere/")).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Answers one request, and closes the connection.
fn answer(
    mut stream: TcpStream,
    address: &str,
    model: &mut Model,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let range = headers.get("range").and_then(|it| it.strip_prefix("bytes=")?.split_once('-'));
    let from: usize = range.map_or(0, |(from, _)| from.parse().unwrap());
    let probe = range == Some(("0", "0"));
    let token = headers.get("authorization").cloned();
    log.lock().unwrap().push(Asked { path: path.clone(), from, token: token.clone() });
    let wanted = model.token.map(|token| format!("Bearer {token}"));
    let refused = wanted.is_some() && token != wanted;
    let mut send = |status: u16, headers: &str, length: usize, body: &[u8]| {
        write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}")?;
        write!(stream, "Content-Length: {length}\r\n\r\n")?;
        stream.write_all(body)
    };
    if let Some(status) = model.status.or(refused.then_some(401)) {
        return send(status, "", 0, b"");
    }
    if path == format!("/api/models/{REPOSITORY}/revision/main?blobs=true") {
        let files = model.files.iter().map(|(name, bytes)| {
            let size = bytes.len() + usize::from(model.lies == Some(name));
            format!(r#"{{"rfilename":"{name}","blobId":"{}","size":{size}}}"#, blob(bytes))
        });
        let (files, commit) = (files.collect::<Vec<_>>().join(","), model.commit.unwrap_or(COMMIT));
        let gated = if model.token.is_some() { r#""auto""# } else { "false" };
        let json = format!(r#"{{"sha":"{commit}","gated":{gated},"siblings":[{files}]}}"#);
        return send(200, "", json.len(), json.as_bytes());
    }
    let (resolved, moved) = (format!("/{REPOSITORY}/resolve/{COMMIT}/"), "/elsewhere/");
    let name = path.strip_prefix(&resolved).or_else(|| path.strip_prefix(moved));
    let Some((name, bytes)) = name.and_then(|name| model.files.get_key_value(name)) else {
        return send(404, "", 0, b"");
    };
    let etag = blob(bytes);
    if model.redirects && name.ends_with(".safetensors") && !path.starts_with(moved) {
        let to = format!("Location: {address}{moved}{name}\r\n");
        let headers = format!("{to}X-Linked-Etag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\n");
        return send(302, &headers, 0, b"");
    }
    let end = if probe { 1 } else { bytes.len() };
    let headers = format!(
        "Etag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {from}-{}/{}\r\n",
        end - 1,
        bytes.len()
    );
    let body = &bytes[from..end];
    let cut = model.cut.as_mut().filter(|(file, left)| file == name && *left > 0 && !probe);
    let sent = match cut {
        Some((_, left)) => {
            *left -= 1;
            &body[..body.len() / 2]
        }
        None => body,
    };
    send(206, &headers, body.len(), sent)
}

/// A name of 40 hexadecimal digits for some bytes.
fn blob(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{:040x}", hasher.finish())
}
