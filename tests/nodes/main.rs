//! Real kubelets and container runtimes give real pods our addresses.
//!
//! One cluster for all: kube-controller-manager, kube-scheduler, and two workers whose pods are
//! attached by macvlan. Every case ends with the [invariant](env::TestEnv::settle): each running
//! pod holds exactly the lease that its status and its namespace show, and nothing else is held.

mod at_once;
mod env;
mod faults;
mod leftovers;
mod multus;
mod passed_on;
mod pods;
mod readme;
mod requests;
mod sets;
mod shipped;
mod stateful;
mod watch;
mod workloads;

/// The plugin under test.
const PLUGIN: &str = env!("CARGO_BIN_EXE_leasehold");

const COLLECTOR: &str = env!("CARGO_BIN_EXE_leasehold-gc");
