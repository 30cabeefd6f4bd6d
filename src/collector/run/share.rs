//! How the parts of a run share its time and its requests, and where each begins: what takes long or
//! fails keeps nothing else from its turn.

use std::future::ready;
use std::rc::Rc;

use futures_util::{Stream, StreamExt, stream};

use super::{Run, Stop};
use crate::collector::Error;
use crate::collector::api::Api;
use crate::collector::report::Reporter;
use crate::retry::{Clock, Deadline, Retrying};

/// Requests for as many objects are under way at once: enough to hide the way to the API server,
/// and no burden on it.
pub(super) const AT_ONCE: usize = 8;

/// Each part of the work has one of so many shares of the time that is left for it; the last part,
/// which releases, has all that remains.
const SHARES: u32 = 4;

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Does a part of the work in its share of the time: an object that takes long, or that no
    /// answer comes for, keeps no other part from its turn.
    pub(super) async fn in_share(
        &mut self,
        what_if_not: &str,
        work: impl AsyncFnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let whole = Rc::clone(&self.client);
        let now = whole.clock.elapsed();
        let share = whole.deadline.at.saturating_sub(now) / SHARES;
        let deadline = Deadline::after(now + share);
        self.client = Rc::new(Retrying::new(whole.api, whole.clock, deadline));
        let outcome = work(self).await;
        self.client = whole;
        if let Err(Stop::Failed(Error::OutOfTime { .. })) = outcome {
            let seconds = share.as_secs();
            self.problem(format!("{what_if_not}: the {seconds} s for it were over"));
            return self.go_on();
        }
        outcome
    }
}

/// These, one after the other, as long as the run may go on and has time.
pub(super) fn in_time<I: IntoIterator, W, C: Clock>(
    items: I,
    client: &Retrying<'_, W, C>,
    stop: &dyn Fn() -> bool,
) -> impl Stream<Item = I::Item> {
    let is_over = || stop() || client.clock.elapsed() > client.deadline.at;
    stream::iter(items).take_while(move |_| ready(!is_over()))
}

/// Where a run begins with what it has to do changes from run to run, so that what takes long or
/// fails keeps no other from its turn.
pub(super) fn rotate<T>(items: &mut [T], chance: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list, by chance"
    )]
    let begin = (items.len() as f64 * chance) as usize;
    let begin = begin.min(items.len());
    items.rotate_left(begin);
}

#[cfg(test)]
mod tests {
    use super::rotate;

    #[test]
    fn a_run_begins_anywhere_in_what_it_has_to_do() {
        for (chance, expected) in [
            (0.0, [1, 2, 3, 4]),
            (0.5, [3, 4, 1, 2]),
            (0.99, [4, 1, 2, 3]),
        ] {
            let mut items = [1, 2, 3, 4];
            rotate(&mut items, chance);
            assert_eq!(items, expected, "{chance}");
        }
        rotate::<u8>(&mut [], 0.5);
    }
}
