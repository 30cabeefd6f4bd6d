//! The sets of a pod's application, in order of preference.

use super::super::Error;
use super::super::store::Store;
use super::hints::Hints;
use super::search::Search;
use super::{Allocation, Refusal, SetRequest};
use crate::claim::Unusable;
use crate::retry::Clock;

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// Takes a member of the first of these sets that has one.
    pub(super) async fn join_derived(&self, sets: &[SetRequest]) -> Result<Allocation, Error> {
        let mut refused = None;
        for SetRequest { set, .. } in sets {
            let name = set.name();
            let refusal = match self.acquirer.leases.read_claim(&name).await? {
                Some(claim) => match self.join(&claim).await {
                    Err(Error::Refused(refusal)) => refusal,
                    outcome => return outcome,
                },
                None => Refusal::Set(Unusable::Missing(name)),
            };
            refused.get_or_insert(refusal);
        }
        let family = self.request.family;
        Err(refused
            .unwrap_or(Refusal::Disabled {
                family,
                pools: Vec::new(),
            })
            .into())
    }
}
