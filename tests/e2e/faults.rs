//! What clusters do to a plugin, done for real: each fault by a proxy between it and a real API
//! server, or to the server.

mod certificates;
mod kubeconfigs;
mod late;
mod lengths;
mod lost;
mod older_kinds;
mod outages;
mod servers;
mod slow;

// Codes of leasehold's errors.
const INVALID_CONFIG: Option<u64> = Some(7);
const TRY_AGAIN_LATER: Option<u64> = Some(11);
const EXHAUSTED: Option<u64> = Some(100);
const NO_POOL: Option<u64> = Some(101);
const SANDBOX_GONE: Option<u64> = Some(104);
const DENIED: Option<u64> = Some(106);
