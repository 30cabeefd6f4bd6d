//! Bodies of replies on their way to a client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::action::By;
use super::line::{Cut, Line, StreamLost};
use super::log::Outcome;
use super::logbook::Ticket;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Any body, from whatever source.
pub(super) type Payload = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is given whole, and says in the log whether it was.
pub(super) struct Tracked {
    inner: Payload,
    ticket: Ticket,
    line: Arc<Line>,
}

impl Tracked {
    /// To be made when the reply is handed to the connection, not before: a body without content
    /// counts as delivered by that.
    pub(super) fn new(inner: Payload, ticket: Ticket, line: Arc<Line>) -> Self {
        Self {
            inner,
            ticket,
            line,
        }
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Err(reason)) = &frame {
            let reason = reason.to_string();
            self.ticket.end(Outcome::Broken(reason));
            self.line.cut(Cut::Reset);
        } else if frame.is_none() || self.inner.is_end_stream() {
            self.ticket.end(Outcome::Delivered);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.inner.is_end_stream() {
            self.ticket.end(Outcome::Delivered);
        }
    }
}

/// The first half of a body, and then the loss of the rest.
pub(super) struct Half {
    first: Option<Bytes>,
    loss: Pin<Box<dyn Future<Output = StreamLost> + Send>>,
}

impl Half {
    pub(super) fn of(whole: &Bytes, by: By, line: Arc<Line>) -> Self {
        let first = whole.slice(..whole.len() / 2);
        // Encrypted, and with the head, it is a little more than this; the head is out by then.
        let out = line.written() + first.len().max(1);
        let loss = async move {
            // What is still in a buffer would be lost with the rest.
            line.has_written(out).await;
            line.lose(by).await
        };
        Self {
            first: Some(first).filter(|first| !first.is_empty()),
            loss: Box::pin(loss),
        }
    }
}

impl Body for Half {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let lost = ready!(self.loss.as_mut().poll(cx));
        Poll::Ready(Some(Err(lost.into())))
    }
}
