//! Leases over the wire: each call of [`Store`] as a request.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::try_join_all;
use http::Request;
use http::header::ACCEPT;
use jiff::Timestamp;
use kube::Resource;
use kube::core::Request as Path;
use kube::core::params::{DeleteParams, GetParams, PostParams, Preconditions};
use serde::Deserialize;
use serde_json::Value;

use super::KubeClient;
use super::answer::Response;
use super::request::{api_error, built, list_params, parse};
use crate::allocate::{Owner, Taken, TakenState};
use crate::api::IPLease;
use crate::lease::{
    Commit, Freshness, Lease, LeaseFilter, LeaseName, ListScope, Peek, Store, StoredLease,
};
use crate::retry::{ApiError, ErrorKind};

#[derive(Deserialize)]
struct List {
    items: Vec<IPLease>,
}

/// A table of the printer columns alone: a fifth of what the objects are, and they include the
/// state.
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";

fn path() -> Path {
    Path::new(IPLease::url_path(&(), None))
}

impl Store for KubeClient {
    async fn read(&self, name: &LeaseName) -> Result<Option<StoredLease>, ApiError> {
        let (what, answer) = self
            .send(built(path().get(&name.to_string(), &GetParams::default()))?)
            .await?;
        answer
            .object::<IPLease>(&what)?
            .map(|lease| understood(&what, lease))
            .transpose()
    }

    async fn peek(&self, names: &[LeaseName]) -> Result<Vec<Peek>, ApiError> {
        try_join_all(names.iter().map(async |name| {
            let request = built(path().get(&name.to_string(), &GetParams::at("0")))?;
            let (what, answer) = self.send(request).await?;
            Ok(match answer.object::<IPLease>(&what)? {
                None => Peek::Absent,
                Some(lease) => match StoredLease::try_from(lease) {
                    Ok(stored) => Peek::Stored(Box::new(stored)),
                    Err(_) => Peek::Unreadable,
                },
            })
        }))
        .await
    }

    async fn create(&self, lease: &Lease) -> Result<Commit, ApiError> {
        let object = written(&lease.to_object())?;
        let request = path().create(&PostParams::default(), object.to_string().into_bytes());
        let (what, answer) = self.send(built(request)?).await?;
        committed(&what, answer, &object)
    }

    async fn replace(&self, seen: &StoredLease, lease: &Lease) -> Result<Commit, ApiError> {
        let object = written(&lease.to_object_over(seen))?;
        let (name, body) = (lease.name.to_string(), object.to_string().into_bytes());
        let request = path().replace(&name, &PostParams::default(), body);
        let (what, answer) = self.send(built(request)?).await?;
        committed(&what, answer, &object)
    }

    async fn delete(&self, seen: &StoredLease) -> Result<bool, ApiError> {
        let requested = Preconditions {
            uid: Some(seen.uid.clone()),
            resource_version: Some(seen.version.clone()),
        };
        let params = DeleteParams {
            preconditions: Some(requested),
            ..DeleteParams::default()
        };
        let (_, answer) = self
            .send(built(path().delete(&seen.lease.name.to_string(), &params))?)
            .await?;
        Ok(matches!(answer, Response::Done(_)))
    }

    async fn taken(
        &self,
        scope: ListScope<'_>,
        freshness: Freshness,
    ) -> Result<Vec<Taken>, ApiError> {
        let selector = match scope {
            ListScope::Pool(pool) => format!("spec.pool={pool}"),
            ListScope::Cooling(pool) => format!("spec.pool={pool},spec.state=Cooling"),
            ListScope::Vrf(vrf) => format!("spec.vrf={vrf}"),
            ListScope::CoolingInVrf(vrf) => format!("spec.vrf={vrf},spec.state=Cooling"),
        };
        let request = built(path().list(&list_params(freshness).fields(&selector)))?;
        let (what, answer) = self.send(as_table(request)?).await?;
        let Some(table) = answer.object::<Table>(&what)? else {
            return Err(not_installed(&what));
        };
        Ok(table.taken())
    }

    async fn find(
        &self,
        whose: LeaseFilter<'_>,
        freshness: Freshness,
    ) -> Result<Vec<StoredLease>, ApiError> {
        let selector = match whose {
            LeaseFilter::Pod(uid) => format!("spec.holder.uid={uid}"),
            LeaseFilter::Container(id) => format!("spec.holder.container={id}"),
            LeaseFilter::Node(name) => format!("spec.holder.node={name}"),
            LeaseFilter::Claim(name) => format!("spec.claim.name={name}"),
        };
        let params = list_params(freshness).fields(&selector);
        let (what, answer) = self.send(built(path().list(&params))?).await?;
        let Some(list) = answer.object::<List>(&what)? else {
            return Err(not_installed(&what));
        };
        list.items
            .into_iter()
            .map(|lease| understood(&what, lease))
            .collect()
    }
}

fn written(lease: &IPLease) -> Result<Value, ApiError> {
    serde_json::to_value(lease).map_err(|error| api_error("a lease", ErrorKind::Refused, error))
}

fn understood(what: &str, lease: IPLease) -> Result<StoredLease, ApiError> {
    StoredLease::try_from(lease).map_err(|error| api_error(what, ErrorKind::Refused, error))
}

fn not_installed(what: &str) -> ApiError {
    api_error(what, ErrorKind::NotInstalled, "404 Not Found")
}

/// An absent object is a lost race as much as a changed one.
fn committed(what: &str, answer: Response, sent: &Value) -> Result<Commit, ApiError> {
    let body = match answer {
        Response::Done(body) => body,
        Response::Absent | Response::Conflict => return Ok(Commit::Lost),
    };
    // As stored: a field that is absent has its default once it is an IPLease.
    let stored: Value = parse(what, &body)?;
    let not_stored = dropped(&sent["spec"], &stored["spec"], "spec");
    let stored = serde_json::from_value(stored)
        .map_err(|error| api_error(what, ErrorKind::Transient(None), error))?;
    Ok(Commit::Won(StoredLease {
        not_stored,
        ..understood(what, stored)?
    }))
}

/// The first field of `sent` that `stored` does not have, as a path below `path`.
fn dropped(sent: &Value, stored: &Value, path: &str) -> Option<String> {
    sent.as_object()?.iter().find_map(|(key, value)| {
        let path = format!("{path}.{key}");
        match stored.get(key) {
            None => Some(path),
            Some(stored) => dropped(value, stored, &path),
        }
    })
}

fn as_table(mut request: Request<Vec<u8>>) -> Result<Request<Vec<u8>>, ApiError> {
    request
        .headers_mut()
        .insert(ACCEPT, http::HeaderValue::from_static(TABLE));
    let uri = format!("{}&includeObject=None", request.uri());
    *request.uri_mut() = uri
        .parse()
        .map_err(|error| api_error(&uri, ErrorKind::Refused, error))?;
    Ok(request)
}

/// The printed form of a list (`meta.k8s.io/v1`, kind Table).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Value>,
}

impl Table {
    /// A row without an address that can be read counts for no pool; one whose state is not
    /// understood is taken.
    fn taken(&self) -> Vec<Taken> {
        let index = |name: &str| {
            self.column_definitions
                .iter()
                .position(|column| column.name == name)
        };
        let [
            address,
            state,
            namespace,
            pod,
            interface,
            released,
            cooldown,
        ] = [
            "Address",
            "State",
            "Namespace",
            "Pod",
            "Interface",
            "Released",
            "Cooldown",
        ]
        .map(index);
        let text = |row: &Row, column: Option<usize>| {
            column.and_then(|column| row.cells.get(column)?.as_str().map(str::to_owned))
        };
        let number = |row: &Row, column: Option<usize>| {
            column.and_then(|column| row.cells.get(column)?.as_u64())
        };
        let each = self.rows.iter().filter_map(|row| {
            let address: IpAddr = text(row, address)?.parse().ok()?;
            let released_at: Option<Timestamp> = text(row, released).and_then(|at| at.parse().ok());
            let state = match (text(row, state).as_deref(), released_at) {
                (Some("Cooling"), Some(released_at)) => TakenState::Cooling {
                    released_at,
                    cooldown: Duration::from_secs(number(row, cooldown).unwrap_or_default()),
                },
                (Some("Retained"), _) => TakenState::Retained,
                (Some("Quarantined"), _) => TakenState::Quarantined,
                _ => TakenState::Held,
            };
            let owner = match (text(row, namespace), text(row, pod), text(row, interface)) {
                (Some(namespace), Some(pod), Some(interface)) => Some(Owner {
                    namespace,
                    pod,
                    interface,
                }),
                _ => None,
            };
            Some(Taken {
                address,
                state,
                owner,
            })
        });
        each.collect()
    }
}
