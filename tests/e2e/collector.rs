//! The collector on a real API server: each case of its rule, made with real objects.
//!
//! The collector looks at a whole cluster, so that these tests have one of their own and take turns
//! in it.

mod by_hand;
mod crash;
mod faults;
mod forged;
mod heartbeats;
mod held_up;
mod history;
mod hostile;
mod metrics;
mod pools;
mod race;
mod recreated;
pub mod run;
pub mod sets;
mod shipped;
mod situations;
mod slots;
mod stuck;
