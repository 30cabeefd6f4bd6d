//! The verbs of the CNI specification, each a short story.
//!
//! A verb knows what the runtime sends and expects; it reads what it needs, asks the pure modules
//! for a decision and has [`lease`](crate::lease) carry it out. It names traits, never the client
//! of the API server.

mod add;
mod api;
mod check;
mod del;
mod error;
mod gc;
mod hint_file;
mod pod;
mod release_cache;
mod serve;
mod sets;
mod status;

pub use api::{Api, Connect};
pub use error::Error;
pub use pod::{PodError, PodSnapshot};
pub use release_cache::FOLDER as RELEASE_CACHE;
pub use serve::{Answer, serve};
