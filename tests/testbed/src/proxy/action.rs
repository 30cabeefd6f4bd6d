//! What a rule does to a request.

use std::time::Duration;

use super::answer::Answer;
use super::gate::Post;
use super::memory::Memory;
use super::upstream::Upstream;

/// What happens to a request that a rule means.
///
/// All rules that mean a request act on it, in the order in which they were set: delays and gates
/// add up, of anything else the rule set last decides.
#[derive(Clone, Debug)]
pub enum Do {
    /// Forward and answer as if no earlier rule were there.
    Pass,
    /// Wait before forwarding.
    Delay(Duration),
    /// Forward, then wait before answering.
    DelayReply(Duration),
    /// Wait before forwarding until the test says go; made by [`Proxy::hold`](super::Proxy::hold).
    Hold(Post),
    /// Forward, then wait before answering until the test says go; made by
    /// [`Proxy::hold_reply`](super::Proxy::hold_reply).
    HoldReply(Post),
    /// Never forward.
    LoseRequest(By),
    /// Forward; the API server acts, and the client does not hear of it.
    LoseReply(By),
    /// Forward; the client gets the head and of the body the first half or less: a reset overtakes
    /// what is on the way.
    LoseHalf(By),
    /// Answer without asking the API server.
    Answer(Answer),
    /// Forward; the API server acts, and the client gets another answer.
    AnswerInstead(Answer),
    /// Forward twice, one after the other, and give this one of the replies.
    Duplicate(Reply),
    /// Ask another API server.
    SendTo(Upstream),
    /// Answer with what the same read was answered the first time since the rule was set, as a
    /// server whose watch cache lags would; made by [`Proxy::freeze`](super::Proxy::freeze).
    Recall(Memory),
}

impl Do {
    /// Answers with this status as a real API server would (see [`Answer::of`]).
    #[must_use]
    pub fn answer(status: u16) -> Answer {
        Answer::of(status)
    }
}

impl From<Answer> for Do {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// By what a client learns, or does not learn, that something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The whole connection is reset (TCP `RST`), with every request on it.
    Reset,
    /// The whole connection is closed (TCP `FIN`, and no TLS goodbye), with every request on it: a
    /// server that was killed.
    Close,
    /// HTTP/2: this stream is reset (`RST_STREAM`, `INTERNAL_ERROR`), the others of the connection
    /// live on. HTTP/1 has nothing smaller than its connection, which is closed.
    StreamReset,
    /// Nothing comes any more; the connection stays.
    Silence,
}

/// One of two replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The first one.
    First,
    /// The second one.
    Second,
}
