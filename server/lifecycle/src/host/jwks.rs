//! `jwks`: JSON Web Key Sets, kept by the host.

use super::State;
use crate::bindings::v0_1::mlx_gate::plugin::jwks::{Error, Host};
use crate::{jwks, outbound};

impl Host for State {
    async fn keys(
        &mut self,
        url: String,
        kid: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, Error>> {
        self.not_while_configuring("jwks", "keys")?;
        Ok(self.find_keys(&url, kid.as_deref()).await.map_err(Error::from))
    }
}

impl State {
    async fn find_keys(&mut self, url: &str, kid: Option<&str>) -> Result<Vec<String>, outbound::Error> {
        let (services, plugin) = (self.services.clone(), self.plugin.clone());
        let url = services.outbound.parse(url)?;
        let wanted = jwks::Wanted { plugin: &plugin, url, kid, patience: self.patience() };
        self.waiting(services.jwks.keys(&services.outbound, wanted)).await
    }
}

impl From<outbound::Error> for Error {
    fn from(error: outbound::Error) -> Self {
        Self::Unavailable(match error {
            outbound::Error::NotGranted(reason) => return Self::NotGranted(reason),
            outbound::Error::Timeout => "the key set did not come in time".to_owned(),
            outbound::Error::TooLarge => "the key set is too long".to_owned(),
            outbound::Error::Failed(reason) => reason,
        })
    }
}
