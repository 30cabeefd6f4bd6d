//! The verbs of the CNI specification, each a short story.
//!
//! A command knows what the runtime said and what it is told; it reads the facts, asks the pure
//! modules for a decision and has [`lease`](crate::lease) carry it out. It names traits, never the
//! door to the API server.

mod add;
mod check;
mod del;
mod error;
mod gather;
mod gc;
mod release_cache;

pub use add::add;
pub use check::check;
pub use del::{PATIENCE as DEL_PATIENCE, del};
pub use error::Error;
pub use gather::{Api, ObjectMetadata, PodError, PodSnapshot};
pub use gc::gc;
pub use release_cache::{FOLDER as RELEASE_CACHE, ReleaseCache};
