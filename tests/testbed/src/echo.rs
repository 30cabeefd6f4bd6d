//! Ping, without the program: it is missing on many machines, and needs a set-uid bit or luck on
//! others.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};

/// Between two requests: the first ones are lost while neighbors are resolved and IPv6 addresses
/// are tentative.
const INTERVAL: Duration = Duration::from_millis(200);

/// ICMP types of request and reply, of the two families.
const V4: (u8, u8) = (8, 0);
const V6: (u8, u8) = (128, 129);

/// Sends echo requests to `address` until one is answered, and returns how long that took.
pub(crate) fn ping(address: IpAddr, patience: Duration) -> Result<Duration> {
    let (domain, protocol, (request, reply)) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, V6),
    };
    let mut socket = Socket::new(domain, Type::RAW, Some(protocol)).context("open a raw socket")?;
    socket.set_read_timeout(Some(INTERVAL))?;
    let id = rand::random::<[u8; 2]>();
    let begun = Instant::now();
    let mut last = None;
    for sequence in 0..u16::MAX {
        if begun.elapsed() >= patience {
            break;
        }
        let sent = Instant::now();
        let message = message(request, id, sequence);
        match socket.send_to(&message, &SocketAddr::new(address, 0).into()) {
            Ok(_) if answered(&mut socket, &[&[reply, 0], &message[4..]])? => {
                return Ok(sent.elapsed());
            }
            Ok(_) => {}
            // "Unreachable" may be over in a moment: an interface comes up, a route appears.
            Err(e) => {
                last = Some(e);
                std::thread::sleep(INTERVAL);
            }
        }
    }
    match last {
        Some(e) => Err(e).with_context(|| format!("no echo from {address}")),
        None => bail!("no echo from {address} within {patience:?}"),
    }
}

/// Whether the reply comes: type and code, then (after the checksum) what was sent.
fn answered(socket: &mut Socket, [head, rest]: &[&[u8]; 2]) -> Result<bool> {
    let deadline = Instant::now() + INTERVAL;
    let mut buffer = [0; 256];
    while Instant::now() < deadline {
        let packet = match socket.read(&mut buffer) {
            Ok(length) => &buffer[..length],
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(false);
            }
            Err(e) => return Err(e).context("receive"),
        };
        // A raw IPv4 socket gives the IP header too, whose length is in its first byte; IPv6 does
        // not.
        let skip = match packet.first() {
            Some(first) if first >> 4 == 4 && head[0] == V4.1 => usize::from(first & 15) * 4,
            _ => 0,
        };
        let icmp = packet.get(skip..).unwrap_or_default();
        if icmp.starts_with(head) && icmp.get(4..) == Some(rest) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An echo request. The checksum is right for IPv4; the kernel puts in that of IPv6.
fn message(kind: u8, id: [u8; 2], sequence: u16) -> [u8; 16] {
    let mut message = [0; 16];
    message[0] = kind;
    message[4..6].copy_from_slice(&id);
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    message[8..].copy_from_slice(b"leashold");
    let sum: u32 = message
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}
