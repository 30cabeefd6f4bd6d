//! leasehold on a real control plane.

mod kinds;
