//! The imports that a test answers: HTTP, key sets, and the file to write to.

use super::with_host;

pub(crate) mod http {
    use super::with_host;
    use crate::http::{Error, Request, Response};

    pub(crate) fn send(request: &Request) -> Result<Response, Error> {
        let answer = with_host(|host| {
            host.requests.push(request.clone());
            host.http.clone()
        });
        answer(request)
    }
}

pub(crate) mod jwks {
    use super::with_host;
    use crate::jwks::Error;

    pub(crate) fn keys(url: &str, kid: Option<&str>) -> Result<Vec<String>, Error> {
        let answer = with_host(|host| host.jwks.clone());
        answer(url, kid)
    }
}

pub(crate) mod output {
    use super::with_host;
    use crate::output::Error;

    pub(crate) fn write(lines: &[String]) -> Result<(), Error> {
        assert!(
            !lines.iter().any(|line| line.contains('\n')),
            "a line holds no line feed of its own: {lines:?}"
        );
        with_host(|host| {
            if let Some(failure) = &host.output_failure {
                return Err(failure.clone());
            }
            host.output.extend_from_slice(lines);
            Ok(())
        })
    }
}
