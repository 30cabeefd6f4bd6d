//! The thread that a proxy runs on.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A thread with a runtime of its own. Dropped, it ends with everything on it.
#[derive(Debug)]
pub(super) struct Thread {
    runtime: Option<Runtime>,
}

impl Thread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fault-proxy")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }

    /// Does what needs a runtime around it.
    pub(super) fn within<T>(&self, act: impl FnOnce() -> T) -> T {
        let _context = self.runtime.as_ref().map(Runtime::enter);
        act()
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Inside another runtime, as a test is, waiting for this one's end would block.
            runtime.shutdown_background();
        }
    }
}
