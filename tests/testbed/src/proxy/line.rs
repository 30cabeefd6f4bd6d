//! One client's connection, and how to cut it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::action::By;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// TCP `RST`.
    Reset,
    /// TCP `FIN`, without a TLS goodbye.
    Close,
}

/// One stream ends without its reply, or without the rest of it; hyper makes this a `RST_STREAM`,
/// and with HTTP/1 a close.
#[derive(Debug, thiserror::Error)]
#[error("the reply is lost")]
pub(super) struct StreamLost;

/// The handle on a connection, shared with the task that serves it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: usize,
    cut: watch::Sender<Option<Cut>>,
    written: watch::Sender<usize>,
}

impl Line {
    pub(super) fn new(id: usize) -> Arc<Self> {
        Arc::new(Self {
            id,
            cut: watch::Sender::default(),
            written: watch::Sender::default(),
        })
    }

    /// Ends the connection; the first to say how decides.
    pub(super) fn cut(&self, how: Cut) {
        self.cut.send_modify(|cut| {
            cut.get_or_insert(how);
        });
    }

    /// Loses the rest of one exchange: what returns is the end of its stream. Where the loss is
    /// another one, nothing returns, and the exchange ends with its connection or with its client's
    /// patience.
    pub(super) async fn lose(&self, by: By) -> StreamLost {
        match by {
            By::Reset => self.cut(Cut::Reset),
            By::Close => self.cut(Cut::Close),
            By::StreamReset => return StreamLost,
            By::Silence => {}
        }
        std::future::pending().await
    }

    /// Waits for the cut. The task that drives the connection drops it then.
    pub(super) async fn is_cut(&self) {
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = self.cut.subscribe().wait_for(Option::is_some).await;
    }

    /// How many bytes were handed to the kernel, encrypted.
    pub(super) fn written(&self) -> usize {
        *self.written.borrow()
    }

    /// Waits until so many bytes were handed to the kernel.
    pub(super) async fn has_written(&self, bytes: usize) {
        let _ = self
            .written
            .subscribe()
            .wait_for(|written| *written >= bytes)
            .await;
    }
}

/// The connection's socket, under TLS.
pub(super) struct Wire {
    tcp: TcpStream,
    line: Arc<Line>,
}

impl Wire {
    pub(super) fn new(tcp: TcpStream, line: Arc<Line>) -> Self {
        Self { tcp, line }
    }

    fn count(&self, written: usize) {
        self.line.written.send_modify(|all| *all += written);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if *self.line.cut.borrow() == Some(Cut::Reset) {
            // With a linger of zero the kernel closes by RST. A socket that is gone already needs
            // none.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, buf))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs))?;
        self.count(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
