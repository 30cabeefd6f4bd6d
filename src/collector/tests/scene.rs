//! A small cluster, a lease in it, and what earlier runs marked.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::collector::index::SnapshotIndex;
use crate::collector::marks::{Gone, Mark, MarkTable};
use crate::collector::now::Now;
use crate::collector::rules::{Case, Judgment, Keep, Live, confirm};
use crate::collector::{
    ClaimSnapshot, HolderSnapshot, KeepReason, LeaseSnapshot, NodeSnapshot, Options, Phase, PodEnd,
    PodSnapshot, Reason, Snapshot,
};
use crate::lease::{LeaseName, State};

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).expect("a time")
}

pub fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

pub fn name(last: u8) -> LeaseName {
    LeaseName {
        vrf: "".parse().expect("a vrf"),
        address: address(last),
    }
}

/// With waits that are easy to count with: a pod has 30 s to end, and the margin is 70 s.
pub fn options() -> Options {
    Options {
        namespace: "leasehold-system".to_owned(),
        margin: Duration::from_secs(70),
        add_timeout: Duration::from_mins(10),
        claim_grace: Duration::from_mins(5),
        release_unreachable: false,
        dry_run: false,
        deadline: Duration::from_mins(5),
    }
}

/// A lease that pod `uid` has held since the beginning.
pub fn held(last: u8, uid: &str) -> LeaseSnapshot {
    LeaseSnapshot {
        name: name(last),
        uid: format!("lease-{last}").into(),
        version: "1".into(),
        state: State::Held,
        pool: "p".into(),
        holder: Some(HolderSnapshot {
            namespace: "ns".into(),
            pod: "web".into(),
            uid: uid.into(),
            node: "n1".into(),
            has_container: true,
            interface: "eth0".into(),
            network: "net".into(),
        }),
        shared: false,
        deleting: false,
        claim: None,
        held_since: Some(at(-10_000).into()),
        released_at: None,
        over: None,
        termination: Duration::from_secs(30),
    }
}

pub fn pod(uid: &str) -> PodSnapshot {
    PodSnapshot {
        claim: None,
        sticky: None,
        derived: None,
        namespace: "ns".into(),
        name: "web".into(),
        uid: uid.into(),
        mirrors: None,
        node: "n1".into(),
        phase: Phase::Running,
        deleting: false,
        containers_ended: false,
        termination: Duration::from_secs(30),
        addresses: Vec::new(),
        attached: None,
    }
}

pub fn ready() -> NodeSnapshot {
    NodeSnapshot {
        ready: true,
        ..NodeSnapshot::default()
    }
}

impl PodSnapshot {
    pub(in crate::collector) fn with_address(mut self, last: u8) -> Self {
        self.addresses.push(address(last));
        self
    }

    pub(in crate::collector) fn finished(mut self, end: PodEnd) -> Self {
        self.phase = Phase::Finished(end);
        self.containers_ended = true;
        self
    }

    pub(in crate::collector) fn called(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}

/// One lease and what is around it. As it begins its pod is gone, its node lives, and no run has
/// marked anything.
pub struct Scene {
    pub lists: Snapshot,
    pub marks: MarkTable,
    pub live: Live,
    pub now: Now,
    pub options: Options,
}

/// What becomes of the lease.
#[derive(Debug, PartialEq)]
pub enum Fate {
    Fine,
    Released(Reason),
    Kept(KeepReason),
}

impl Scene {
    pub fn new(lease: LeaseSnapshot) -> Self {
        let mut lists = Snapshot::default();
        lists.nodes.insert("n1".into(), ready());
        lists.heartbeats.insert("n1".into(), "2".into());
        let live = Live {
            version: Some(lease.version.to_string()),
            node: Some(ready()),
            ..Live::default()
        };
        lists.leases.push(lease);
        Self {
            lists,
            marks: MarkTable::default(),
            live,
            now: Now {
                server: Some(at(0)),
                own: at(0),
            },
            options: options(),
        }
    }

    /// With this pod in the list and in live reads.
    pub fn pod(mut self, pod: PodSnapshot) -> Self {
        self.live.pod = Some(pod.clone());
        self.lists.pods.push(pod);
        self
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Without its Node object, in the list and in live reads.
    pub fn without_node(self) -> Self {
        self.with(|scene| {
            scene.lists.nodes.clear();
            scene.live.node = None;
        })
    }

    /// With its node like this, in the list and in live reads.
    pub fn node(self, node: &NodeSnapshot) -> Self {
        self.with(|scene| {
            scene.lists.nodes.insert("n1".into(), node.clone());
            scene.live.node = Some(node.clone());
        })
    }

    /// Marked by a run `ago` seconds ago.
    pub fn marked(self, ago: i64) -> Self {
        self.with(|scene| {
            let mark = Mark::new(&scene.lists.leases[0], at(-ago));
            scene.mark(mark);
        })
    }

    /// Known to be gone for long, with these since then.
    pub fn gone(
        self,
        heartbeat: Option<&str>,
        contact: Option<i64>,
        node_absent: Option<i64>,
    ) -> Self {
        self.with(|scene| {
            let mark = Mark {
                gone: Some(Gone {
                    since: at(-800),
                    heartbeat: heartbeat.map(Box::from),
                    contact: contact.map(|ago| at(-ago)),
                    node_absent: node_absent.map(|ago| at(-ago)),
                }),
                ..Mark::new(&scene.lists.leases[0], at(-800))
            };
            scene.mark(mark);
        })
    }

    fn mark(&mut self, mark: Mark) {
        self.marks.set(self.lists.leases[0].name.clone(), mark);
    }

    pub fn claim(mut self, listed: ClaimSnapshot, live: ClaimSnapshot) -> Self {
        let name = self.lists.leases[0].name.clone();
        self.lists.claims.insert(name, listed);
        self.live.claim = Some(live);
        self
    }

    /// What the lists show of the first lease.
    pub fn judgment(&self) -> Judgment {
        let index = SnapshotIndex::of(&self.lists);
        let case = Case::new(&index, &self.marks, self.now, &self.options);
        case.judge(&self.lists.leases[0])
    }

    /// What becomes of the first lease.
    pub fn fate(&self) -> Fate {
        match self.judgment() {
            Judgment::Fine => Fate::Fine,
            Judgment::Keep(keep) => Fate::Kept(keep.why),
            Judgment::Due(due) => match confirm(&self.lists.leases[0], &due.reason, &self.live) {
                Ok(()) => Fate::Released(due.reason),
                Err(why) => Fate::Kept(why),
            },
        }
    }

    /// What this run marks the first lease with.
    pub fn next_mark(&self) -> Option<Mark> {
        match self.judgment() {
            Judgment::Fine => None,
            Judgment::Keep(Keep { mark, .. }) => mark,
            Judgment::Due(due) => due.mark,
        }
    }
}

/// A table whose rows are sentences.
pub fn says(table: Vec<(&str, Scene, Fate)>) {
    for (sentence, scene, fate) in table {
        assert_eq!(scene.fate(), fate, "{sentence}");
    }
}
