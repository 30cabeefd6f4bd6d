//! Standard input, for as long as it may be waited for.

use std::io::{self, Read, StdinLock};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Standard input, unbuffered.
pub struct Stdin {
    input: StdinLock<'static>,
    /// How long a read waits before it takes the input for ended; none: until there is more.
    patience: Option<Duration>,
}

impl Stdin {
    /// Waits for whatever is written.
    #[must_use]
    pub fn patient() -> Self {
        Self {
            input: io::stdin().lock(),
            patience: None,
        }
    }

    /// Takes an input for ended that is silent for `patience`.
    #[must_use]
    pub fn silent_after(patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..Self::patient()
        }
    }

    fn is_silent(&self) -> io::Result<bool> {
        let Some(patience) = self.patience else {
            return Ok(false);
        };
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let mut files = [PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut files, timeout)? == 0)
    }
}

impl Read for Stdin {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.is_silent()? {
            return Ok(0);
        }
        self.input.read(to)
    }
}
