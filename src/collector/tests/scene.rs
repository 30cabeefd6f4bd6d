//! A small cluster, told in two looks.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::collector::{
    ClaimSnapshot, HolderSnapshot, KeepReason, LeaseSnapshot, Life, NodeSnapshot, Options, PodEnd,
    PodSnapshot, Reason, Report, SecondRead, Snapshot, SnapshotIndex, confirm, suspects,
};
use crate::lease::{LeaseName, State};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("a time")
}

pub fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

pub fn options() -> Options {
    Options {
        grace: Duration::from_secs(30),
        add_timeout: Duration::from_mins(10),
        release_unreachable: false,
        dry_run: false,
        deadline: Duration::from_mins(5),
    }
}

/// A lease that pod `uid` has held since the beginning.
pub fn held(last: u8, uid: &str) -> LeaseSnapshot {
    LeaseSnapshot {
        name: LeaseName {
            vrf: "".parse().expect("a vrf"),
            address: address(last),
        },
        uid: format!("lease-{last}").into(),
        version: "1".into(),
        written: Some(at(-10_000)),
        state: State::Held,
        pool: "p".into(),
        holder: Some(HolderSnapshot {
            namespace: "ns".into(),
            pod: "web".into(),
            uid: uid.into(),
            node: "n1".into(),
            interface: "eth0".into(),
            network: "net".into(),
        }),
        shared: false,
        claim: None,
        held_since: Some(at(-10_000)),
        over: None,
        termination: Duration::from_secs(30),
        gone_since: None,
    }
}

pub fn pod(uid: &str) -> PodSnapshot {
    PodSnapshot {
        namespace: "ns".into(),
        name: "web".into(),
        uid: uid.into(),
        mirrors: None,
        node: "n1".into(),
        life: Life::Alive,
        termination: Duration::from_secs(30),
        reports: Vec::new(),
    }
}

fn ready() -> NodeSnapshot {
    NodeSnapshot {
        ready: true,
        ..NodeSnapshot::default()
    }
}

impl PodSnapshot {
    pub(super) fn reporting(mut self, last: u8) -> Self {
        self.reports.push(Report {
            address: address(last),
            interface: None,
        });
        self
    }

    pub(super) fn finished(mut self, end: PodEnd) -> Self {
        self.life = Life::Finished(end);
        self
    }

    pub(super) fn called(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}

/// One lease and what is around it, at both looks. As it begins its pod is gone, and its node lives.
pub struct Case {
    pub first: Snapshot,
    pub second: SecondRead,
    pub options: Options,
}

impl Case {
    pub fn new(lease: LeaseSnapshot) -> Self {
        let mut first = Snapshot::default();
        first.nodes.insert("n1".into(), ready());
        first.heartbeats.insert("n1".into(), at(0));
        let second = SecondRead {
            version: Some(lease.version.to_string()),
            pod: None,
            node: Some(ready()),
            heartbeat: Some(at(10)),
            claim: None,
            server_time: Some(at(30)),
        };
        first.leases.push(lease);
        Self {
            first,
            second,
            options: options(),
        }
    }

    /// With this pod at both looks.
    pub fn pod(mut self, pod: PodSnapshot) -> Self {
        self.second.pod = Some(pod.clone());
        self.first.pods.push(pod);
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn claim(mut self, first: ClaimSnapshot, second: ClaimSnapshot) -> Self {
        let name = self.first.leases[0].name.clone();
        self.first.claims.insert(name, first);
        self.second.claim = Some(second);
        self
    }

    /// What becomes of the first lease: `None` where the first look finds nothing about it.
    pub fn verdict(&self) -> Option<Result<Reason, KeepReason>> {
        let index = SnapshotIndex::of(&self.first);
        let name = &self.first.leases[0].name;
        let suspects = suspects(&index, at(0));
        let suspect = suspects.iter().find(|s| s.lease.name == *name)?;
        Some(confirm(suspect, &index, &self.second, &self.options))
    }
}
