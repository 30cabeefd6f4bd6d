//! Events: those that kubelets record about pods, and ours about pools and nodes.

use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Resource;
use kube::core::Request as Path;
use kube::core::params::{Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::collector::{Notice, Regarding, Uid};

/// The field manager, and the source of our Events.
const MANAGER: &str = "leasehold-gc";

/// Where Events about objects without a namespace are kept.
const NAMESPACE: &str = "default";

/// How much of an object's name is in the name of an Event about it, which may have 253 characters.
const NAME: usize = 180;

/// The longest message that the API server admits.
const MESSAGE: usize = 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventObject {
    involved_object: Involved,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    series: Option<Series>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Involved {
    uid: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    last_observed_time: Option<String>,
}

impl EventObject {
    /// The uid of its pod, unless the event is older. One without a time that can be read may be of
    /// just now.
    pub fn of_pod_since(self, since: Timestamp) -> Option<Uid> {
        let series = self.series.and_then(|series| series.last_observed_time);
        let times = [self.last_timestamp, self.event_time, series];
        let times = times.into_iter().flatten().filter_map(|at| at.parse().ok());
        let is_old = times.max().is_some_and(|at: Timestamp| at < since);
        let uid = self.involved_object.uid;
        (!is_old && !uid.is_empty()).then(|| uid.into())
    }
}

/// Writes it in the place of the last one of the same reason about the same object.
pub(super) fn request(
    notice: &Notice,
    at: Timestamp,
) -> Result<Request<Vec<u8>>, kube::core::request::Error> {
    let (name, object) = event(notice, at);
    let path = Path::new(Event::url_path(&(), Some(NAMESPACE)));
    let params = PatchParams::apply(MANAGER).force();
    path.patch(&name, &params, &Patch::Apply(object))
}

fn event(notice: &Notice, at: Timestamp) -> (String, Value) {
    let (kind, version, name, uid) = match &notice.regarding {
        Regarding::Pool { name, uid } => ("IPPool", "leasehold.io/v1alpha1", name, uid),
        Regarding::Subnet { name, uid } => ("Subnet", "leasehold.io/v1alpha1", name, uid),
        // As kubelet names it: `kubectl describe node` selects by that too.
        Regarding::Node { name } => ("Node", "v1", name, name),
    };
    let short: String = name.chars().take(NAME).collect();
    let event = format!(
        "{}.{MANAGER}.{}",
        short.trim_end_matches(['.', '-']),
        notice.reason.to_lowercase()
    );
    let at = format!("{at:.0}");
    let message: String = notice.message.chars().take(MESSAGE).collect();
    let object = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event, "namespace": NAMESPACE},
        "involvedObject": {"kind": kind, "apiVersion": version, "name": name, "uid": uid},
        "reason": notice.reason,
        "message": message,
        "type": "Warning",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
    });
    (event, object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_event_that_is_surely_old_counts_for_nothing() {
        let since: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let pod = r#""involvedObject": {"uid": "u"}"#;
        for (more, counts) in [
            (r#", "lastTimestamp": "2026-03-01T12:00:01Z""#, true),
            (r#", "lastTimestamp": "2026-03-01T11:59:59Z""#, false),
            (
                r#", "lastTimestamp": "2026-03-01T11:00:00Z", "series": {"lastObservedTime": "2026-03-01T12:30:00.000000Z"}"#,
                true,
            ),
            (
                r#", "lastTimestamp": null, "eventTime": "2026-03-01T11:00:00.000000Z""#,
                false,
            ),
            (r#", "lastTimestamp": "9999-12-31T23:59:59Z""#, true),
            ("", true),
        ] {
            let event: EventObject =
                serde_json::from_str(&format!("{{{pod}{more}}}")).expect("an event");
            assert_eq!(event.of_pod_since(since).is_some(), counts, "{more}");
        }
    }
}
