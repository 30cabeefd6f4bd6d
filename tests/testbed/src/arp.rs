//! ARP on a segment: who says to have which address.

use std::io::{ErrorKind, Read};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Protocol, Socket, Type};

use crate::segment::{BRIDGE, Segment};

const ETHERTYPE: u16 = 0x0806;
/// An Ethernet header and an ARP packet for IPv4.
const LENGTH: usize = 14 + 28;

/// The address of an interface on the link.
pub type Mac = [u8; 6];

/// A neighbor that asks and listens, and has no address itself.
#[derive(Debug)]
pub struct Arp {
    socket: Socket,
    bridge: LinkAddr,
}

impl Arp {
    /// Opens it on a segment. What it does not read within a while is lost, but not what it asks
    /// for.
    pub fn open(segment: &Segment) -> Result<Self> {
        segment.hub().enter(|| {
            let protocol = Protocol::from(i32::from(ETHERTYPE.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))
                .context("open a packet socket")?;
            let mut interfaces = getifaddrs().context("list the interfaces")?;
            let bridge = interfaces
                .find_map(|interface| {
                    let address = interface.address?;
                    let is_bridge = interface.interface_name == BRIDGE;
                    is_bridge.then(|| address.as_link_addr().copied())?
                })
                .context("the segment has no bridge")?;
            Ok(Self { socket, bridge })
        })
    }

    /// Asks who has this address. All that have it answer, and no one learns anything from the
    /// question (RFC 5227, §2.1.1).
    pub fn ask(&self, address: Ipv4Addr) -> Result<()> {
        let own = self.bridge.addr().context("the bridge has no address")?;
        let mut frame = Vec::with_capacity(LENGTH);
        frame.extend([0xff; 6]);
        frame.extend(own);
        frame.extend(ETHERTYPE.to_be_bytes());
        // Ethernet, IPv4, the lengths of their addresses, a request.
        frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(own);
        frame.extend([0; 4]);
        frame.extend([0; 6]);
        frame.extend(address.octets());
        sendto(
            self.socket.as_raw_fd(),
            &frame,
            &self.bridge,
            MsgFlags::empty(),
        )
        .context("send a question")?;
        Ok(())
    }

    /// The next one who says, asked or not, to have an address; `None` if none does for so long.
    pub fn next(&self, patience: Duration) -> Result<Option<(Ipv4Addr, Mac)>> {
        self.socket.set_read_timeout(Some(patience))?;
        let mut frame = [0; LENGTH];
        loop {
            match (&self.socket).read(&mut frame) {
                Ok(LENGTH) => {}
                Ok(_) => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(e) => return Err(e).context("receive"),
            }
            let mut mac = Mac::default();
            mac.copy_from_slice(&frame[22..28]);
            let address = Ipv4Addr::new(frame[28], frame[29], frame[30], frame[31]);
            if !address.is_unspecified() {
                return Ok(Some((address, mac)));
            }
        }
    }
}
