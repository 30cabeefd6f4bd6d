//! CHECK: whether what ADD answered still holds.

use super::error::Error;
use crate::cni::Check;
use crate::lease::{LeaseName, Store};
use crate::retry::{Clock, Deadline, Retrying};

/// Fails with the first address of the result whose lease is missing or is not this container's.
pub(super) async fn check<S: Store, C: Clock>(
    call: &Check,
    store: &S,
    clock: &C,
) -> Result<(), Error> {
    let leases = Retrying::new(store, clock, Deadline::after(call.config.timeout));
    let uid = call.pod.as_ref().and_then(|pod| pod.uid.as_deref());
    for &address in &call.previous {
        let name = LeaseName {
            vrf: call.config.vrf.clone(),
            address,
        };
        let found = leases.read(&name).await?;
        let holds = found.as_ref().is_some_and(|stored| {
            let container = stored.recorded_container(&call.container, uid);
            stored.is_held_by(container, &call.interface)
        });
        if !holds {
            return Err(Error::NotHeld {
                address,
                found: found.map(|stored| Box::new(stored.lease)),
            });
        }
    }
    Ok(())
}
