//! Which pool a pod's address is from, which routes come with it, and the error of a pod that gets
//! none.
//!
//! Each rule on the real API server, through the real plugin; the precedence of the levels and each
//! malformed form are tables beside the code.

mod edits;
mod labels;
mod lists;
mod networks;
mod refusals;
mod reserved;
mod routes;
mod several;
mod strange;
