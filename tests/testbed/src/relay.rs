//! Carries bytes from a listening socket, of whatever namespace, to an address of this one.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// A relay, which ends with this value.
#[derive(Debug)]
pub(crate) struct Relay {
    _alive: oneshot::Sender<()>,
}

impl Relay {
    /// Starts it on a thread of its own: it may serve several tests, each of which has a runtime of
    /// its own.
    pub(crate) fn start(listener: TcpListener, to: SocketAddr) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (alive, end) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, to) => {}
                    _ = end => {}
                }
            });
        };
        std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(serve)
            .context("start a relay")?;
        Ok(Self { _alive: alive })
    }
}

async fn accept(listener: TcpListener, to: SocketAddr) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    while let Ok((mut near, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut far = TcpStream::connect(to).await?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            copy_bidirectional(&mut near, &mut far).await
        });
    }
}
