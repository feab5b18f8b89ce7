use tokio::sync::watch;

/// Counts requests in flight and, once draining, admits no more.
pub(crate) struct Drain {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    draining: bool,
    in_flight: usize,
}

/// A request in flight, until dropped.
pub(crate) struct InFlight {
    state: watch::Sender<State>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }
}

impl Drain {
    /// Counts a request in, or refuses it when draining.
    pub(crate) fn admit(&self) -> Option<InFlight> {
        // Looking and counting are one step under the channel's lock, so `finished` cannot miss a request in between.
        let admitted = self.state.send_if_modified(|state| {
            let admit = !state.draining;
            state.in_flight += usize::from(admit);
            admit
        });
        admitted.then(|| InFlight { state: self.state.clone() })
    }

    pub(crate) fn begin(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.state.borrow().draining
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.state.borrow().in_flight
    }

    /// Waits until draining with nothing in flight.
    pub(crate) async fn finished(&self) {
        // Waiting fails only when every sender is gone, and `self` holds one.
        let _ = self.state.subscribe().wait_for(|state| state.draining && state.in_flight == 0).await;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.send_modify(|state| state.in_flight -= 1);
    }
}
