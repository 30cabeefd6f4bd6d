//! The requests that reached the API servers, by their own account: the audit log.

use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::cluster::Cluster;

const PATIENCE: Duration = Duration::from_secs(30);

/// A moment, as a position in each API server's log.
#[derive(Clone, Debug)]
pub struct Mark(Vec<u64>);

/// One request that was answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What it did: `get`, `list`, `create`, …
    pub verb: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<Status>,
    /// What the client calls itself.
    #[serde(default)]
    pub user_agent: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Request {
    /// Who sent it.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user.username
    }

    /// The resource, as `pods` or `pods/status`; empty for what is none.
    #[must_use]
    pub fn resource(&self) -> String {
        match &self.object_ref {
            Some(object) if object.subresource.is_empty() => object.resource.clone(),
            Some(object) => format!("{}/{}", object.resource, object.subresource),
            None => String::new(),
        }
    }

    /// The namespace asked for.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.object_ref
            .as_ref()
            .map_or("", |object| &object.namespace)
    }

    /// The name asked for. The log does not know the name of what is created.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object_ref.as_ref().map_or("", |object| &object.name)
    }

    /// The status it was answered with.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.response_status
            .as_ref()
            .map_or(0, |status| status.code)
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.user(),
            self.verb,
            self.uri,
            self.code()
        )
    }
}

impl Cluster {
    /// This moment: requests that are answered by now are not [since](Self::requests_since) it.
    pub async fn mark(&self) -> Result<Mark> {
        let mut ends = Vec::new();
        for server in 0..self.api_servers() {
            ends.push(self.read_log(server, 0).await?.1);
        }
        Ok(Mark(ends))
    }

    /// The requests that were answered since that moment, by all API servers, without those of this
    /// function.
    pub async fn requests_since(&self, mark: &Mark) -> Result<Vec<Request>> {
        let mut all = Vec::new();
        for (server, from) in mark.0.iter().enumerate() {
            let (text, _) = self.read_log(server, *from).await?;
            for line in text.lines().filter(|line| !line.contains(FLUSH)) {
                all.push(serde_json::from_str(line).context("read a line of the audit log")?);
            }
        }
        Ok(all)
    }

    /// The log from a position on, complete up to now; and its end.
    ///
    /// A request is written to it a moment after its answer is sent. So a request of a name of its
    /// own is sent, and waited for.
    async fn read_log(&self, server: usize, from: u64) -> Result<(String, u64)> {
        let word = format!("{FLUSH}{:016x}", rand::random::<u64>());
        let client = self.admin_of(server).await?;
        let request = http::Request::get(format!("/version?{word}")).body(Vec::new())?;
        client
            .request_text(request)
            .await
            .context("ask for the end of the audit log")?;
        let path = &self.plane().api_servers[server].audit_log;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut text = String::new();
            let mut log = std::fs::File::open(path).context("open the audit log")?;
            log.seek(SeekFrom::Start(from))?;
            log.read_to_string(&mut text)
                .context("read the audit log")?;
            if text.ends_with('\n') && text.contains(&word) {
                let end = from + text.len() as u64;
                return Ok((text, end));
            }
            ensure!(Instant::now() < deadline, "the audit log is not written");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

const FLUSH: &str = "end-of-audit-log=";
