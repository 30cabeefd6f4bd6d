//! The application that a pod belongs to, known from the pod alone.
//!
//! A pod's controller is the application, or belongs to it: the `ReplicaSet` of a rollout is named
//! after its Deployment, and a scheduled Job after its `CronJob`. Whether the object exists, and how
//! many pods it wants, is for others to find out.

use std::collections::BTreeMap;

use crate::api::ClaimOwner;
use crate::text::brief;

/// The label of a Deployment's pods, and that of an Argo Rollout's: the end of their `ReplicaSet`'s
/// name.
const HASHES: [(&str, &str, &str); 2] = [
    ("pod-template-hash", "apps", "Deployment"),
    ("rollouts-pod-template-hash", "argoproj.io", "Rollout"),
];

/// How long an object's name may be (RFC 1123). Controllers cut the names that they make to it.
const NAME_LENGTH: usize = 253;

/// How long the end of a scheduled Job's name is: the minute that it was scheduled for, since 1970
/// (Kubernetes, `pkg/controller/cronjob`).
const MINUTE_LENGTH: usize = 8;

/// Why a pod is of no known application.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoApplication {
    /// It has no controller.
    #[error(
        "the pod has no controller, so it is of no application: create an IPClaim and name it in the annotation \
         ipam.leasehold.io/claim, or run the pod in a Deployment"
    )]
    NoController,
    /// Its `ReplicaSet`'s name is as long as a name can be, and so may have lost a part.
    #[error(
        "the name of {kind} {} may have been cut, so its application is unknown: create an IPClaim and name it in the \
         annotation ipam.leasehold.io/claim",
        brief(name)
    )]
    NameCut {
        /// The controller's kind.
        kind: String,
        /// The controller's name.
        name: String,
    },
}

impl ClaimOwner {
    /// The application of a pod with this controller and these labels.
    ///
    /// # Errors
    ///
    /// [`NoApplication`] where that is unknown.
    pub fn application(
        controller: Option<&Self>,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, NoApplication> {
        let controller = controller.ok_or(NoApplication::NoController)?;
        let Self {
            group, kind, name, ..
        } = controller;
        let found = match (&**group, &**kind) {
            ("apps", "ReplicaSet") => of_replica_set(name, labels),
            ("batch", "Job") => of_job(name),
            _ => return Ok(controller.clone()),
        };
        if found.is_some() && name.len() >= NAME_LENGTH {
            return Err(NoApplication::NameCut {
                kind: kind.clone(),
                name: name.clone(),
            });
        }
        Ok(found.unwrap_or_else(|| controller.clone()))
    }
}

fn of_replica_set(name: &str, labels: &BTreeMap<String, String>) -> Option<ClaimOwner> {
    HASHES.into_iter().find_map(|(label, group, kind)| {
        let before = name.strip_suffix(labels.get(label)?.as_str())?;
        owner(group, kind, before)
    })
}

fn of_job(name: &str) -> Option<ClaimOwner> {
    let (before, minute) = name.split_at_checked(name.len().checked_sub(MINUTE_LENGTH)?)?;
    let is_minute = minute.bytes().all(|byte| byte.is_ascii_digit());
    is_minute.then(|| owner("batch", "CronJob", before))?
}

/// The owner whose name precedes the hyphen that `name` ends in.
fn owner(group: &str, kind: &str, name: &str) -> Option<ClaimOwner> {
    let name = name.strip_suffix('-').filter(|name| !name.is_empty())?;
    Some(ClaimOwner {
        group: group.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        ..ClaimOwner::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(
        group: &str,
        kind: &str,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Result<String, NoApplication> {
        let controller = ClaimOwner {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            ..ClaimOwner::default()
        };
        let labels = (labels.iter())
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        ClaimOwner::application(Some(&controller), &labels)
            .map(|it| format!("{}/{}/{}", it.group, it.kind, it.name))
    }

    #[test]
    fn a_pod_goes_back_to_the_object_that_a_person_made() {
        let hash = ("pod-template-hash", "7d9f8");
        let argo = ("rollouts-pod-template-hash", "7d9f8");
        for (controller, labels, expected) in [
            (
                "apps/ReplicaSet/web-7d9f8",
                vec![hash],
                "apps/Deployment/web",
            ),
            (
                "apps/ReplicaSet/web-7d9f8",
                vec![argo],
                "argoproj.io/Rollout/web",
            ),
            (
                "apps/ReplicaSet/web-7d9f8",
                vec![],
                "apps/ReplicaSet/web-7d9f8",
            ),
            ("apps/ReplicaSet/web-1", vec![hash], "apps/ReplicaSet/web-1"),
            ("apps/ReplicaSet/7d9f8", vec![hash], "apps/ReplicaSet/7d9f8"),
            (
                "apps/ReplicaSet/-7d9f8",
                vec![hash],
                "apps/ReplicaSet/-7d9f8",
            ),
            (
                "apps/ReplicaSet/web",
                vec![("pod-template-hash", "")],
                "apps/ReplicaSet/web",
            ),
            (
                "x.io/ReplicaSet/web-7d9f8",
                vec![hash],
                "x.io/ReplicaSet/web-7d9f8",
            ),
            ("apps/StatefulSet/db", vec![hash], "apps/StatefulSet/db"),
            (
                "/ReplicationController/old",
                vec![],
                "/ReplicationController/old",
            ),
            ("batch/Job/report-29384950", vec![], "batch/CronJob/report"),
            (
                "batch/Job/report-2938495",
                vec![],
                "batch/Job/report-2938495",
            ),
            (
                "batch/Job/report29384950",
                vec![],
                "batch/Job/report29384950",
            ),
            ("batch/Job/29384950", vec![], "batch/Job/29384950"),
            ("batch/Job/-29384950", vec![], "batch/Job/-29384950"),
            ("batch/Job/once", vec![], "batch/Job/once"),
        ] {
            let [group, kind, name] = (controller.split('/').collect::<Vec<_>>())
                .try_into()
                .expect("group, kind and name");
            let found = application(group, kind, name, &labels);
            assert_eq!(found.as_deref(), Ok(expected), "{controller} {labels:?}");
        }
    }

    #[test]
    fn what_is_of_no_known_application_is_refused() {
        let bare = ClaimOwner::application(None, &BTreeMap::new());
        assert_eq!(bare, Err(NoApplication::NoController));
        let long = format!("{}-7d9f8", "a".repeat(NAME_LENGTH - 6));
        let cut = application(
            "apps",
            "ReplicaSet",
            &long,
            &[("pod-template-hash", "7d9f8")],
        );
        assert!(matches!(cut, Err(NoApplication::NameCut { .. })), "{cut:?}");
        let whole = application("apps", "StatefulSet", &"a".repeat(NAME_LENGTH), &[]);
        assert!(whole.is_ok(), "{whole:?}");
    }
}
