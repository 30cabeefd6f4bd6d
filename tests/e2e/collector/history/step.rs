//! What may happen next.

use rand::RngExt;
use rand::rngs::StdRng;

/// One thing that happens in a cluster.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A pod is created, and its runtime calls ADD.
    Create,
    /// The runtime calls ADD for a pod that has no sandbox.
    Add,
    /// A pod is created, and the plugin is killed at some moment of its ADD.
    Kill,
    /// A pod's sandbox dies, and a new one takes its place, with or without a DEL of the old one.
    Restart,
    /// A pod ends as it should: DEL, and then its object goes.
    Finish,
    /// Its object goes at once; the runtime calls DEL afterwards, or never.
    ForceDelete,
    /// It is deleted with grace, and runs on.
    Delete,
    /// Its object goes, and another of its name is attached before the DEL of the old one.
    Recreate,
    /// A node is cut off.
    CutOff,
    /// Those that were cut off are back.
    Reconnect,
    /// A node's machine is gone, and registered anew.
    NodeGone,
    /// The pool excludes other addresses, or none; or gives nothing for a while.
    EditPool,
    /// A collector runs while the history goes on.
    Collect,
    /// Two of them.
    CollectTwice,
    /// The API server is killed and comes back.
    RestartServer,
    /// A user makes a pod whose annotation claims addresses that it was never given; or it goes.
    Forge,
    /// A user writes something into the metadata of a lease, for its present holder.
    Annotate,
    /// A node names addresses of the pool as its own, or none at all.
    NameAddresses,
    /// A collector runs while an object can't be read.
    CollectUnreadable,
    /// A StatefulSet or an application gets another number of replicas.
    Scale,
    /// One is deleted.
    DeleteOwner,
    /// Those that were deleted are made again, with other uids.
    MakeOwners,
    /// The claim of an application's set is deleted, also while pods hold its members.
    DeleteSet,
    /// A person makes a claim, changes it or deletes it.
    ClaimByHand,
}

/// Out of a thousand.
const WEIGHTS: [(Step, u32); 24] = [
    (Step::Create, 190),
    (Step::Add, 80),
    (Step::Kill, 60),
    (Step::Restart, 60),
    (Step::Finish, 70),
    (Step::ForceDelete, 80),
    (Step::Delete, 40),
    (Step::Recreate, 50),
    (Step::CutOff, 20),
    (Step::Reconnect, 20),
    (Step::NodeGone, 10),
    (Step::EditPool, 30),
    (Step::Collect, 59),
    (Step::CollectTwice, 30),
    (Step::RestartServer, 1),
    (Step::Forge, 30),
    (Step::Annotate, 30),
    (Step::NameAddresses, 15),
    (Step::CollectUnreadable, 5),
    (Step::Scale, 40),
    (Step::DeleteOwner, 15),
    (Step::MakeOwners, 20),
    (Step::DeleteSet, 20),
    (Step::ClaimByHand, 25),
];

impl Step {
    pub fn any(random: &mut StdRng) -> Self {
        let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left: u32 = random.random_range(0..total);
        for (step, weight) in WEIGHTS {
            if left < weight {
                return step;
            }
            left -= weight;
        }
        Self::Create
    }
}
