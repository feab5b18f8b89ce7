//! The socket the server listens on.
//!
//! An address is taken in two steps. It is bound before anything is loaded, so that a port somebody else holds is found
//! out at once and not after a long download. It listens only when everything is loaded: until then connections are
//! refused, and a supervisor that asks `/ready` is never answered too early.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use tokio::net::{TcpListener, TcpSocket};

/// Connections the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

/// An address that is ours, on which nothing listens yet.
pub(crate) struct Reserved {
    socket: TcpSocket,
    address: SocketAddr,
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something else listens there.
    #[error("port {} on {} is taken by another program; stop that one, or choose another port with --port (0 takes any free one)", .0.port(), .0.ip())]
    Taken(SocketAddr),
    /// Low ports belong to the system.
    #[error("this user may not listen on port {}; choose one above 1023 with --port", .0.port())]
    Forbidden(SocketAddr),
    /// The address belongs to no network interface.
    #[error("this machine has no address {}; choose one of its own with --host", .0.ip())]
    NotOurs(SocketAddr),
    /// A name without an address.
    #[error("the host name `{host}` given with --host cannot be resolved: {cause}")]
    Unresolved {
        /// The name.
        host: String,
        /// The resolver's words.
        cause: String,
    },
    /// Anything else the system says.
    #[error("cannot listen on {address}: {cause}")]
    System {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        cause: io::Error,
    },
}

/// The address of a host. Of a name with several, an IPv4 one: `localhost` then works for clients that know only
/// `127.0.0.1`.
pub(crate) fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let unresolved =
        |cause: &dyn std::fmt::Display| Error::Unresolved { host: host.to_owned(), cause: cause.to_string() };
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().map_err(|error| unresolved(&error))?.collect();
    let best = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    best.copied().ok_or_else(|| unresolved(&"it has no address"))
}

/// Whether other machines could reach an address.
pub(crate) fn is_public(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

/// Binds an address without listening on it.
pub(crate) fn reserve(wanted: SocketAddr) -> Result<Reserved, Error> {
    let bound = || {
        let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Otherwise a restart would have to wait for the last connections of the server before it to be forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(wanted)?;
        let address = socket.local_addr()?;
        Ok(Reserved { socket, address })
    };
    bound().map_err(|cause| Error::at(wanted, cause))
}

impl Reserved {
    /// The address, with the real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to listen. Has to be called within the runtime.
    pub(crate) fn listen(self) -> Result<TcpListener, Error> {
        self.socket.listen(BACKLOG).map_err(|cause| Error::at(self.address, cause))
    }
}

impl Error {
    fn at(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::PermissionDenied => Self::Forbidden(address),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(address),
            _ => Self::System { address, cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_flag_that_changes_it() {
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let error = reserve(address).err().unwrap().to_string();
        assert!(error.starts_with(&format!("port {} on 127.0.0.1 is taken", address.port())), "{error}");
        assert!(error.contains("--port"), "{error}");
    }

    #[test]
    fn only_loopback_is_private() {
        let public = |host| is_public(resolve(host, 0).unwrap());
        assert!(!public("127.0.0.1") && !public("127.0.0.2") && !public("::1") && !public("localhost"));
        assert!(!public("::ffff:127.0.0.1"));
        assert!(public("0.0.0.0") && public("::") && public("192.0.2.1"));
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let error = reserve(resolve("192.0.2.1", 1).unwrap()).err().unwrap().to_string();
        assert_eq!(error, "this machine has no address 192.0.2.1; choose one of its own with --host");
    }
}
