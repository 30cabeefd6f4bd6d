//! Of two pods that each have the last address of one family, one gets both.
//!
//! The one that lacks an IPv4 address gives its IPv6 address back at once, as after any failure.
//! The one that lacks an IPv6 address keeps what it has for a moment and looks again. If both gave
//! back at once, both would fail, and again at each retry.

use super::super::Error;
use super::super::record::StoredLease;
use super::super::store::Store;
use super::hints::Hints;
use super::search::Search;
use super::{Acquirer, AddressRequest, Allocation, Refusal};
use crate::ip::Family;
use crate::retry::{Clock, backoff};

/// How often it looks again: for a second or two, in which the other gives back what it has.
const LOOKS: usize = 4;

/// The shorter pauses are left out: within them, the other has hardly ended its search.
const SHORT: usize = 3;

impl<S: Store, C: Clock, H: Hints> Acquirer<'_, S, C, H> {
    /// Looks again for the IPv6 address of a pod that has an address of the other family.
    pub(super) async fn await_ipv6(
        &self,
        requests: &[AddressRequest<'_>],
        kept: &[StoredLease],
        ended: &mut [Result<Allocation, Error>],
    ) {
        let mut pauses = backoff().skip(SHORT);
        for _ in 0..LOOKS {
            let Some(lacking) = lacking_ipv6(ended) else {
                return;
            };
            // What ended the search stands where there is no time for another.
            let has_time = self.leases.back_off(&mut pauses).await.is_ok();
            if !has_time || self.check_sandbox().is_err() {
                return;
            }
            let search = Search::new(self, &requests[lacking], kept);
            // Seldom needed, and large.
            ended[lacking] = Box::pin(search.run(&[])).await;
        }
    }
}

/// The search that found the IPv6 pools full, if it alone has failed.
fn lacking_ipv6(ended: &[Result<Allocation, Error>]) -> Option<usize> {
    let mut failed = ended.iter().enumerate().filter(|(_, it)| it.is_err());
    match (failed.next()?, failed.next()) {
        ((index, Err(Error::Refused(Refusal::Exhausted { family, .. }))), None)
            if *family == Family::V6 && ended.len() > 1 =>
        {
            Some(index)
        }
        _ => None,
    }
}
