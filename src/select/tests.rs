mod interfaces;
mod levels;
mod messages;
mod properties;
mod rules;
pub(super) mod support;
