//! The rule of the collector as sentences, and what it never does as properties.

mod properties;
mod scene;
mod verdicts;
