//! Where clients connect.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::body::BoxError;
use super::line::{Line, Wire};
use super::lock;
use super::relay::Relay;
use super::shared::{Doors, Shared};

/// A port that stays the proxy's while nothing listens there: a socket that is bound and does not
/// listen keeps it from others, and connections to it are refused.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) address: SocketAddr,
    _reservation: TcpSocket,
}

impl Port {
    pub(super) fn reserve() -> io::Result<Self> {
        let reservation = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: reservation.local_addr()?,
            _reservation: reservation,
        })
    }

    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        // A thousand processes at once may knock before the first is let in.
        bound(self.address)?.listen(1024)
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes connections as long as the proxy lives, and reports each state of the doors once it is
/// true.
pub(super) async fn run(
    shared: Arc<Shared>,
    port: Port,
    listener: TcpListener,
    reached: watch::Sender<Doors>,
) {
    let mut wanted = shared.doors.subscribe();
    let mut listener = Some(listener);
    let mut last_id = 0;
    loop {
        let doors = *wanted.borrow_and_update();
        match (doors, &listener) {
            (Doors::Refusing, _) => {
                listener = None;
                shared.cut_lines();
            }
            (Doors::Open | Doors::Mute, None) => {
                listener = Some(port.listen().expect("the port is reserved"));
            }
            (Doors::Open | Doors::Mute, Some(_)) => {}
        }
        reached.send_replace(doors);
        let heard = listener.as_ref().filter(|_| doors == Doors::Open);
        tokio::select! {
            biased;
            changed = wanted.changed() => if changed.is_err() { return },
            tcp = accept(heard) => {
                last_id += 1;
                let line = Line::new(last_id);
                shared.add_line(&line);
                tokio::spawn(drive(Arc::clone(&shared), tcp, line));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((tcp, _peer)) => return tcp,
            // Out of file descriptors, most likely: others must end first.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Serves a connection until it ends or is cut.
async fn drive(shared: Arc<Shared>, tcp: TcpStream, line: Arc<Line>) {
    tokio::select! {
        // How a connection failed is seen by its client.
        _ended = serve(shared, tcp, Arc::clone(&line)) => {}
        () = line.is_cut() => {}
    }
}

async fn serve(shared: Arc<Shared>, tcp: TcpStream, line: Arc<Line>) -> Result<(), BoxError> {
    tcp.set_nodelay(true)?;
    let acceptor = lock(&shared.acceptor).clone();
    let tls = acceptor.accept(Wire::new(tcp, Arc::clone(&line))).await?;
    let upstream = shared.upstream.anew();
    let relay = Arc::new(Relay {
        shared,
        line,
        upstream,
    });
    let service = service_fn(move |request| Arc::clone(&relay).serve(request));
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(tls), service)
        .await
}
