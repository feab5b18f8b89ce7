use std::io;

use crate::config::Mistakes;
use crate::{admin, admin_client, gate, keys, kit, listen, models};

/// Why the program ends without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Flags, environment or file say something that cannot be honoured.
    #[error(transparent)]
    Configuration(#[from] Mistakes),
    /// The address.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The plugins.
    #[error(transparent)]
    Gate(#[from] gate::Error),
    /// The models.
    #[error(transparent)]
    Models(#[from] models::Error),
    /// The admin API's place.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// `mlx-gate plugin`, as a client of a running server.
    #[error(transparent)]
    AdminClient(#[from] admin_client::Error),
    /// `mlx-gate key new`.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// `mlx-gate plugin`.
    #[error(transparent)]
    Kit(#[from] kit::Error),
    /// Threads and signals.
    #[error("the operating system refused what every server needs: {0}")]
    System(io::Error),
    /// A second signal came before the answers in flight had ended.
    #[error("interrupted again: answers in flight are cut off")]
    Interrupted,
}

impl Error {
    /// 2 where the command line, environment or file has to change; 130 as shells report an interruption; 1 for
    /// everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Kit(kit::Error::Configuration(_)) => 2,
            Self::Interrupted => 130,
            _ => 1,
        }
    }
}
