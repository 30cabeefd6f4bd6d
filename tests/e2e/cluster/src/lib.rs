//! A real control plane for the tests.
