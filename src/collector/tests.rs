//! What the collector never does, and a small cluster to show it in.

mod properties;
pub(super) mod scene;
