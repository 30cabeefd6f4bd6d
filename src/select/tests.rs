mod interfaces;
mod levels;
mod messages;
mod properties;
mod rules;
mod support;
