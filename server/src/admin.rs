//! The admin API's place: where it listens, and who may connect.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use mlx_gate_api::AdminListener;
use mlx_gate_core::Secret;
use tokio::net::UnixSocket;

use crate::listen;

/// Connections the system keeps for us until they are accepted.
const BACKLOG: u32 = 64;

/// Where the admin API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminAddress {
    /// An address.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Where the admin API is, and the key to it.
#[derive(Debug)]
pub(crate) struct AdminSettings {
    /// Where.
    pub address: AdminAddress,
    /// `None` only for a socket.
    pub key: Option<Secret>,
    /// Whether it may be an address that other machines can reach.
    pub public: bool,
}

impl AdminSettings {
    /// Refuses to be reached by accident.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.address {
            AdminAddress::Tcp(address) if listen::is_public(*address) && !self.public => {
                Err(Error::Public(*address))
            }
            _ => Ok(()),
        }
    }
}

/// Why the admin API cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Anybody could try keys.
    #[error(
        "the admin API: other machines can reach {0}, in clear text; choose 127.0.0.1 or unix:PATH, or say --admin-public"
    )]
    Public(SocketAddr),
    /// The address.
    #[error("the admin API: {0}")]
    Listen(#[from] listen::Error),
    /// Another server has the socket.
    #[error("the admin API: another program listens on {}; stop that one, or choose another path with --admin", .0.display())]
    Taken(PathBuf),
    /// Something that is not ours to remove.
    #[error("the admin API: {} is there and is not a socket; choose another path with --admin", .0.display())]
    NotASocket(PathBuf),
    /// Anything else the system says.
    #[error("the admin API: cannot listen on {}: {cause}", path.display())]
    System {
        /// The socket.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
}

impl AdminAddress {
    /// `127.0.0.1:8001`, `[::1]:8001`, `localhost:8001`, `unix:/run/mlx-gate.sock`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Some(Self::Unix(path.into())).filter(|_| !path.is_empty());
        }
        match text.strip_prefix("localhost:") {
            Some(port) => Some(Self::Tcp((IpAddr::from(Ipv4Addr::LOCALHOST), port.parse().ok()?).into())),
            None => text.parse().ok().map(Self::Tcp),
        }
    }
}

impl fmt::Display for AdminAddress {
    /// As `--admin` takes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// An admin API that listens.
pub(crate) struct Listening {
    pub listener: AdminListener,
    /// Where, with the real port.
    pub address: AdminAddress,
    /// Keeps the socket in the file system.
    pub socket: Option<SocketFile>,
}

/// A socket of ours in the file system, removed on drop.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // One that is left behind is found to be dead, and taken over, at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// Begins to listen. Has to be called within the runtime.
pub(crate) fn listen(address: &AdminAddress) -> Result<Listening, Error> {
    match address {
        AdminAddress::Tcp(address) => {
            let reserved = listen::reserve(*address)?;
            let address = AdminAddress::Tcp(reserved.address());
            Ok(Listening { listener: AdminListener::Tcp(reserved.listen()?), address, socket: None })
        }
        AdminAddress::Unix(path) => {
            remove_dead(path)?;
            let system = |cause| Error::System { path: path.clone(), cause };
            let socket = UnixSocket::new_stream().map_err(system)?;
            socket.bind(path).map_err(system)?;
            let file = SocketFile(path.clone());
            // Nobody can connect before it listens, so there is no moment in which others could.
            fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(system)?;
            let listener = AdminListener::Unix(socket.listen(BACKLOG).map_err(system)?);
            Ok(Listening { listener, address: address.clone(), socket: Some(file) })
        }
    }
}

/// Removes the socket that a server left behind which could not say goodbye.
fn remove_dead(path: &Path) -> Result<(), Error> {
    let system = |cause| Error::System { path: path.to_owned(), cause };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(system(error)),
        Ok(found) if !found.file_type().is_socket() => Err(Error::NotASocket(path.to_owned())),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(Error::Taken(path.to_owned())),
        Ok(_) => fs::remove_file(path).map_err(system),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_sockets_are_told_apart() {
        let tcp = |text: &str| Some(AdminAddress::Tcp(text.parse().unwrap()));
        assert_eq!(AdminAddress::parse("127.0.0.1:8001"), tcp("127.0.0.1:8001"));
        assert_eq!(AdminAddress::parse("localhost:0"), tcp("127.0.0.1:0"));
        assert_eq!(AdminAddress::parse("[::1]:8001"), tcp("[::1]:8001"));
        assert_eq!(
            AdminAddress::parse("unix:run/gate.sock"),
            Some(AdminAddress::Unix("run/gate.sock".into()))
        );
        for wrong in ["", "unix:", "8001", "127.0.0.1", "example.com:80", "localhost:x", "/run/gate.sock"] {
            assert_eq!(AdminAddress::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nobody_is_let_in_from_elsewhere_by_accident() {
        let check = |address, public| {
            AdminSettings { address: AdminAddress::parse(address).unwrap(), key: None, public }.check()
        };
        assert!(matches!(check("0.0.0.0:1", false), Err(Error::Public(_))));
        assert!(check("0.0.0.0:1", true).is_ok());
        assert!(check("[::1]:1", false).is_ok() && check("unix:x", false).is_ok());
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_a_dead_one_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.sock");
        let address = AdminAddress::Unix(path.clone());
        let first = listen(&address).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen(&address), Err(Error::Taken(_))));
        drop(first);
        assert!(!path.exists());

        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "nobody removed it");
        let second = listen(&address).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        drop(second);

        fs::write(&path, "precious").unwrap();
        assert!(matches!(listen(&address), Err(Error::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
