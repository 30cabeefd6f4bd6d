//! The CNI plugin: one call in, one answer out.

use std::io;
use std::process::ExitCode;

use leasehold::cluster::{self, Cluster};
use leasehold::cni::{self, Call, Code, Detach, Failure};
use leasehold::commands::{self, Notes, SystemClock};

fn main() -> ExitCode {
    let clock = SystemClock::start();
    let call = Call::read(|name| std::env::var_os(name), io::stdin().lock());
    match call.and_then(|call| serve(call, clock)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stdout closed there is nobody left to tell.
            let _ = failure.print(io::stdout());
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(call: Call, clock: SystemClock) -> Result<(), Failure> {
    match call {
        Call::About => {
            eprint!("{}", cni::about());
            Ok(())
        }
        Call::Version(versions) => told(cni::print(&versions, io::stdout())),
        Call::Status(status) => cluster::find(status.config.kubeconfig.as_deref())
            .and_then(|path| cluster::check(&path))
            .map_err(|error| {
                Failure::because(Code::Unavailable, &error).in_version(status.version)
            }),
        Call::Add(add) => {
            let answer = async {
                let world = Cluster::of(&add.config)?;
                Ok(commands::add(&add, &world, &clock, &Notes::default()).await?)
            };
            let answer = answer
                .await
                .map_err(|failure: Failure| failure.in_version(add.version))?;
            told(answer.print(add.version, io::stdout()))
        }
        Call::Check(check) => {
            let outcome =
                async { Ok(commands::check(&check, &Cluster::of(&check.config)?, &clock).await?) };
            outcome
                .await
                .map_err(|failure: Failure| failure.in_version(check.version))
        }
        Call::Gc(sweep) => {
            let outcome =
                async { Ok(commands::gc(&sweep, &Cluster::of(&sweep.config)?, &clock).await?) };
            outcome
                .await
                .map_err(|failure: Failure| failure.in_version(sweep.version))
        }
        Call::Del(del) => {
            for remark in del_in_any_case(&del, &clock).await {
                eprintln!("leasehold: DEL: {}", cni::one_line(&remark));
            }
            Ok(())
        }
    }
}

/// A DEL that failed would keep its pod Terminating: what was in its way is said, and no error.
async fn del_in_any_case(del: &Detach, clock: &SystemClock) -> Vec<String> {
    let mut remarks = del.remarks.clone();
    match Cluster::of(&del.config) {
        Ok(world) => remarks.extend(commands::del(del, &world, clock, &Notes::default()).await),
        Err(error) => remarks.push(format!(
            "nothing was released, the collector will do it: {error}"
        )),
    }
    remarks
}

fn told(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| {
        Failure::new(Code::Io, "stdout could not be written").with_details(error.to_string())
    })
}
