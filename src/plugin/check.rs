//! CHECK: whether what ADD answered still holds.

use super::error::Error;
use crate::cni::Check;
use crate::lease::{Clock, Deadline, LeaseName, Retrying, Store};

/// Fails with the first address of the result whose lease is missing or is not this container's.
pub async fn check<S: Store, C: Clock>(call: &Check, store: &S, clock: &C) -> Result<(), Error> {
    let desk = Retrying::new(store, clock, Deadline::until(call.config.timeout), &|| true);
    let uid = call.pod.as_ref().and_then(|pod| pod.uid.as_deref());
    for &address in &call.previous {
        let name = LeaseName {
            vrf: call.config.vrf.clone(),
            address,
        };
        match desk.read(&name).await? {
            Some(seen)
                if seen.is_held_by(
                    seen.container_as_told(&call.container, uid),
                    &call.interface,
                ) => {}
            found => {
                return Err(Error::NotHeld {
                    address,
                    found: found.map(|seen| Box::new(seen.lease)),
                });
            }
        }
    }
    Ok(())
}
