mod interfaces;
mod levels;
mod messages;
mod properties;
mod rules;
mod subnets;
pub(super) mod support;
