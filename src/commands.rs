//! The verbs of the CNI specification, each a short story.
//!
//! A command knows what the runtime said and what it is told; it reads the facts, asks the pure
//! modules for a decision and has [`lease`](crate::lease) carry it out. It names traits, never the
//! door to the API server.

mod add;
mod check;
mod clock;
mod del;
mod error;
mod facts;
mod gc;
mod install;
mod notes;
mod sandbox;

pub use add::add;
pub use check::check;
pub use clock::SystemClock;
pub use del::{PATIENCE as DEL_PATIENCE, del};
pub use error::Error;
pub use facts::{Marks, PodSeen, Unfit, World};
pub use gc::gc;
pub use install::{InstallError, install};
pub use notes::{FOLDER as NOTES, Notes};
