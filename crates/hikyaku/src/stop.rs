//! How the parts of a relay learn that it is time to stop.

use tokio::sync::watch;

/// Asks every [`Stop`] that was made from it to stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Waits for the request to stop. Every part of a relay holds one.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    /// A stopper, and the first of what listens to it.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stop(receiver))
    }

    /// Asks everything to stop. The same happens when the stopper is dropped.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Ends when the request has come.
    pub async fn requested(&mut self) {
        // An error means that the stopper is gone, and with it whoever wanted this to run.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the request has come.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}
