//! One request's way through the proxy.
//!
//! From the moment that it has arrived whole a request is a task of its own: it waits, is forwarded
//! and is answered whether or not its client is still there, and holds no other request up.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use tokio::sync::oneshot;

use super::action::{By, Reply};
use super::body::{BoxError, Half, Payload, Tracked};
use super::call::Call;
use super::gate::Verdict;
use super::line::Line;
use super::log::Outcome;
use super::logbook::Ticket;
use super::memory::Memory;
use super::rules::{Delivery, Plan, Source, Wait};
use super::shared::Shared;
use super::upstream::{Upstream, Whole};

/// What the relay of one connection has.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) shared: Arc<Shared>,
    pub(super) line: Arc<Line>,
    pub(super) upstream: Upstream,
}

/// What the client gets.
enum Ending {
    Whole(Response<Payload>, Ticket),
    Half(Response<Bytes>, By),
    Nothing(By),
}

/// Why the client gets nothing.
enum Loss {
    Wanted(By),
    Broken(String),
}

impl Relay {
    pub(super) async fn serve(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Payload>, BoxError> {
        let (call, whole) = read(request).await?;
        let (plan, call, ticket) = self.shared.arrive(call, self.line.id);
        let (sender, ending) = oneshot::channel();
        let task = Arc::clone(&self);
        tokio::spawn(async move {
            // Without a receiver the ending is dropped, and its ticket writes that into the log.
            let _ = sender.send(task.run(plan, call, whole, ticket).await);
        });
        match ending.await {
            Ok(Ending::Whole(reply, ticket)) => {
                Ok(reply
                    .map(|body| Tracked::new(body, ticket, Arc::clone(&self.line)).boxed_unsync()))
            }
            Ok(Ending::Half(reply, by)) => {
                Ok(reply.map(|body| Half::of(&body, by, Arc::clone(&self.line)).boxed_unsync()))
            }
            Ok(Ending::Nothing(by)) => Err(self.line.lose(by).await.into()),
            Err(_task_is_gone) => Err(self.line.lose(By::Reset).await.into()),
        }
    }

    async fn run(&self, plan: Plan, call: Arc<Call>, whole: Whole, mut ticket: Ticket) -> Ending {
        match self.carry_out(plan, &call, whole, &ticket).await {
            Ok((reply, None)) => {
                ticket.answered(reply.status());
                Ending::Whole(reply, ticket)
            }
            Ok((reply, Some(by))) => {
                let status = reply.status();
                match collect(reply).await {
                    Ok(reply) => {
                        ticket.answered(status);
                        ticket.end(Outcome::Lost);
                        Ending::Half(reply, by)
                    }
                    Err(loss) => loss.write(&mut ticket),
                }
            }
            Err(loss) => loss.write(&mut ticket),
        }
    }

    /// The reply, and by what its second half is to be lost.
    async fn carry_out(
        &self,
        plan: Plan,
        call: &Arc<Call>,
        whole: Whole,
        ticket: &Ticket,
    ) -> Result<(Response<Payload>, Option<By>), Loss> {
        let Plan {
            before,
            source,
            to,
            after,
            delivery,
        } = plan;
        self.shared.until_audible().await;
        stand(before, call, ticket).await?;
        let server = Server {
            upstream: to.as_ref().unwrap_or(&self.upstream),
            ticket,
        };
        let reply = match source {
            Source::Server => server.ask(whole).await?,
            Source::ServerTwice(which) => server.ask_twice(whole, which).await?,
            Source::Memory(memory) => server.recall(&memory, call, whole).await?,
            Source::Proxy(answer) => full(answer.to(call)),
            Source::Unsent(by) => return Err(Loss::Wanted(by)),
        };
        stand(after, call, ticket).await?;
        self.shared.until_audible().await;
        match delivery {
            Delivery::Whole => Ok((reply, None)),
            Delivery::Half(by) => Ok((reply, Some(by))),
            Delivery::Instead(answer) => Ok((full(answer.to(call)), None)),
            Delivery::Nothing(by) => Err(Loss::Wanted(by)),
        }
    }
}

impl Loss {
    fn write(self, ticket: &mut Ticket) -> Ending {
        match self {
            Self::Wanted(by) => {
                ticket.end(Outcome::Lost);
                Ending::Nothing(by)
            }
            Self::Broken(reason) => {
                ticket.end(Outcome::Broken(reason));
                Ending::Nothing(By::Reset)
            }
        }
    }

    fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |error| error.source());
        Self::Broken(
            chain
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": "),
        )
    }
}

/// The API server, for one request.
struct Server<'a> {
    upstream: &'a Upstream,
    ticket: &'a Ticket,
}

impl Server<'_> {
    async fn ask(&self, whole: Whole) -> Result<Response<Payload>, Loss> {
        self.ticket.forwarded();
        let reply = self
            .upstream
            .ask(whole)
            .await
            .map_err(|error| Loss::broken(&error))?;
        self.ticket.served(reply.status());
        Ok(reply.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }

    async fn ask_twice(&self, whole: Whole, which: Reply) -> Result<Response<Payload>, Loss> {
        let first = collect(self.ask(whole.clone()).await?).await?;
        let second = self.ask(whole).await?;
        Ok(match which {
            Reply::First => full(first),
            Reply::Second => second,
        })
    }

    async fn recall(
        &self,
        memory: &Memory,
        call: &Call,
        whole: Whole,
    ) -> Result<Response<Payload>, Loss> {
        if let Some(kept) = memory.recall(call) {
            return Ok(full(kept));
        }
        let reply = collect(self.ask(whole).await?).await?;
        memory.keep(call, reply.clone());
        Ok(full(reply))
    }
}

async fn read(request: Request<Incoming>) -> Result<(Call, Whole), hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let call = Call::read(&head.method, &head.uri, &head.headers, &body);
    let whole = Whole {
        version: head.version,
        method: head.method,
        path: call
            .path
            .parse()
            .unwrap_or_else(|_| http::uri::PathAndQuery::from_static("/")),
        headers: head.headers,
        body,
    };
    Ok((call, whole))
}

async fn stand(waits: Vec<Wait>, call: &Arc<Call>, ticket: &Ticket) -> Result<(), Loss> {
    for wait in waits {
        match wait {
            Wait::For(time) => tokio::time::sleep(time).await,
            Wait::At(post) => match post.wait(ticket.seq(), Arc::clone(call)).await {
                Verdict::Go => {}
                Verdict::Discard => return Err(Loss::Wanted(By::Reset)),
            },
        }
    }
    Ok(())
}

async fn collect(reply: Response<Payload>) -> Result<Response<Bytes>, Loss> {
    let (head, body) = reply.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| Loss::broken(&*error))?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

fn full(reply: Response<Bytes>) -> Response<Payload> {
    reply.map(|body| {
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync()
    })
}
